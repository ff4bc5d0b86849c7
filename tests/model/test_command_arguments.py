"""What a shell leaves as it is."""

from pathlib import Path

from model.command_arguments import expand_home


def test_the_home_folder_in_a_flag_with_an_equals_sign() -> None:
    home = str(Path.home())
    given = ["--catalog=~/a.csv", "--out=~", "--image.root=~/b", "--name=~x/y", "--brand", "~/c", "--columns=a=~/b"]
    assert expand_home(given) == [
        f"--catalog={home}/a.csv",
        f"--out={home}",
        f"--image.root={home}/b",
        *given[3:],
    ]
