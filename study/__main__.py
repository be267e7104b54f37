"""``python -m study``: the command line where no script was installed, as on a cluster's nodes."""

from study.cli.main import main

if __name__ == "__main__":
    main()
