"""How MLflow's server is told what it is; a guarded one runs in ``service``."""

from __future__ import annotations

from pathlib import Path

from cluster.mlflow_server import Guard, server_command, server_environment


def test_the_database_is_not_on_the_command_line_and_the_extras_are_off(tmp_path: Path) -> None:
    environment = server_environment("postgresql://ada:pw@db/m", tmp_path)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://ada:pw@db/m"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    command = server_command("127.0.0.1", 5000)
    assert command[command.index("--workers") + 1] == "1"
    assert "pw" not in " ".join(command)
    assert "--app-name" not in command
    assert not any("AUTH" in name for name in environment)


def test_a_guarded_server_is_told_its_passwords_and_names_by_its_environment(
    tmp_path: Path,
) -> None:
    guard = Guard(
        config=tmp_path / "auth.ini",
        password="sesame",
        session_key="poppy",
        hosts=("10.0.0.7", "lab"),
        port=5001,
    )
    environment = server_environment("sqlite:////m.db", tmp_path, guard)
    assert {
        name: environment[name]
        for name in environment
        if name not in server_environment("sqlite:////m.db", tmp_path)
    } == {
        "MLFLOW_AUTH_ADMIN_PASSWORD": "sesame",
        "MLFLOW_AUTH_CONFIG_PATH": f"{tmp_path}/auth.ini",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "poppy",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "10.0.0.7,10.0.0.7:*,lab,lab:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "http://10.0.0.7:5001,http://lab:5001",
    }
    command = server_command("10.0.0.7", 5001, is_guarded=True)
    assert command[-2:] == ["--app-name", "basic-auth"]
    assert "sesame" not in f"{guard} {command}"
    assert "poppy" not in f"{guard} {command}"
