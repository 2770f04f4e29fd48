"""`python -m jaxnet` is the command `jaxnet`."""

from jaxnet.cli import main

if __name__ == "__main__":
    main()
