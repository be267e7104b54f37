# Made by: dockerfile
#
# At the top of the project's sources (FILE is this file):
#   docker build --tag challenger-study:0.1.0 --file FILE .

FROM python:3.11.9-slim-bookworm AS build

# Bytecode compiled here is not compiled at every start.
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/challenger
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv venv "$VIRTUAL_ENV"

WORKDIR /source
# The dependencies first: their layer stays when the project's own code changes.
COPY pyproject.toml ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --requirements pyproject.toml \
        'mlflow[auth]==3.17.2' \
        optuna-dashboard==0.21.0
COPY README.md LICENSE ./
COPY cluster ./cluster
COPY search_spaces ./search_spaces
COPY study ./study
COPY trainables ./trainables
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --no-deps . \
    && "$VIRTUAL_ENV/bin/python" -c "import ray; assert ray.__version__ == '2.60.0', ray.__version__"


FROM python:3.11.9-slim-bookworm

# Ray's cluster launcher needs rsync and ssh, health checks wget, Ray's TLS openssl.
# Debian's packages are not pinned; $PATH is not expanded here, but by the login shell.
# hadolint ignore=DL3008,SC2016
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-client openssl rsync wget \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 challenger \
    && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash challenger \
    # A volume that is mounted here takes the folder's owner and mode: any user may be given.
    && install --directory --owner challenger --group challenger --mode 1777 \
        /challenger /artifacts /home/challenger \
    # A login shell resets PATH.
    && echo 'export PATH=/opt/challenger/bin:$PATH' >/etc/profile.d/challenger.sh

COPY --from=build /opt/challenger /opt/challenger

# The user's name too is given, since another user ID has none.
ENV DO_NOT_TRACK=true \
    HOME=/home/challenger \
    LOGNAME=challenger \
    MLFLOW_DISABLE_TELEMETRY=true \
    PATH=/opt/challenger/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0 \
    USER=challenger \
    VIRTUAL_ENV=/opt/challenger

USER 1000:1000
WORKDIR /home/challenger
CMD ["challenger-study", "--help"]
