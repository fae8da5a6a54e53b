"""`ptvkit demo`: the whole chain on the built-in liver phantom."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from ptvkit.cli import groups, run, simulate, targets
from ptvkit.cli.declared import Option, Words, option, read_words
from ptvkit.cli.printing import print_json, remark, say
from ptvkit.cli.progress import EVERY_S, alive
from ptvkit.cli.texts import folder
from ptvkit.errors import FileError

STUDY: Final = "liver-protocol"
PATIENTS: Final = 500
"""Enough to see with; --study liver-protocol on its own takes a thousand."""
CTV, PTV, BREATHING = "10", "10", "S=12,I=18"
"""The protocol's margins for liver metastases, mm; of the 3 to 30 mm for breathing, a large amplitude's."""
OPTIONS: Final = (
    option("--out -o", "Folder to write to.", metavar="DIR", default="ptvkit-demo", value=folder),
    groups.JSON,
)


def demo(words: Words) -> None:
    """Run the whole chain on a built-in liver phantom: image, GTV, CTV, PTV, courses of treatment, a study's report."""
    out, json = words["out"], words.json
    if json:
        import contextlib
        import io

        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            chain(out, json=True)
        files = sorted(path.relative_to(out).as_posix() for path in files_in(out))
        print_json({"folder": str(out), "files": files}, "demo")
    else:
        chain(out, json=False)
        say(f"Pictures in {out}: {', '.join(sorted(path.name for path in out.glob('*.png')))}")
        say("The same:")
        for line in commands(out):
            say(f"  ptvkit {line}")


COMMANDS: Final = (("demo", demo, OPTIONS),)


def files_in(out: Path) -> list[Path]:
    """Files of a folder and below."""
    return [path for path in out.rglob("*") if path.is_file()]


def commands(out: Path) -> list[str]:
    """What the demo runs, as one would type it."""
    return [
        f"targets {out}/gtv.nii.gz --limit {out}/liver.nii.gz --ctv {CTV} --ptv {PTV} --breathing {BREATHING} -o DIR",
        f"simulate --ctv {out}/ctv.nii.gz --ptv {out}/ptv.nii.gz --study {STUDY} --patients {PATIENTS} -o DIR",
        f"run {out}/study.toml -o DIR",
    ]


def chain(out: Path, *, json: bool) -> None:
    """Each step by the function of its command, with a line of what is being done."""
    from ptvkit import phantom

    with step("the phantom: image, GTV, liver", json):
        write_phantom(out)
    margins = {"gtv": f"{out}/gtv.nii.gz", "ctv": CTV, "ptv": PTV, "breathing": BREATHING, "picture": True}
    files = {"limit": f"{out}/liver.nii.gz", "image": f"{out}/ct.nii.gz"}
    with step("CTV and PTV", json):
        targets.made(typed(targets.OPTIONS, out=str(out), **margins, **files), EVERY_S)
        say(f"The phantom's GTV truly holds {phantom.region('gtv').volume_cc:.2f} cc.")
    masks = {"ctv": f"{out}/ctv.nii.gz", "ptv": f"{out}/ptv.nii.gz", "image": f"{out}/ct.nii.gz"}
    with step(f"courses of treatment of {PATIENTS} patients", json):
        simulate.simulated(typed(simulate.OPTIONS, out=str(out), study=STUDY, patients=PATIENTS, **masks), EVERY_S)
    with step("a study of breathing margins", json):
        study = typed(run.OPTIONS, study=str(write_study(out)), out=str(out))
        run.ran(study, study.request(study["study"]), EVERY_S)


def typed(options: tuple[Option, ...], **values: Any) -> Words:
    """Options as if they were typed."""
    return read_words(options, {one.name: values.get(one.name, one.default) for one in options})


def step(what: str, json: bool) -> AbstractContextManager[object]:
    """Say what comes next, and that it goes on."""
    if not json:
        remark(what)
    return alive(what, json=json)


def write_phantom(out: Path) -> None:
    """Write the phantom's image, GTV and liver."""
    from ptvkit import phantom
    from ptvkit.io.files import write_together
    from ptvkit.io.nifti import write_image, write_mask

    grid = phantom.grid()
    with write_together(out) as stage:
        write_image(phantom.image(grid), grid, stage / "ct.nii.gz")
        for name in ("gtv", "liver"):
            write_mask(phantom.mask(name, grid), stage / f"{name}.nii.gz")


def write_study(out: Path) -> Path:
    """Write the demo's study, to be run anew."""
    from ptvkit.io.files import write_whole
    from ptvkit.request.reading import packaged
    from ptvkit.work.journal import SUFFIX
    from ptvkit.work.study import JOURNAL

    path = out / "study.toml"
    content = packaged("demo-study.toml")
    if path.exists() and path.read_bytes() != content:
        raise FileError(f"{path}: is another study; choose another folder (-o), or remove it")
    (out / f"{JOURNAL}{SUFFIX}").unlink(missing_ok=True)
    with write_whole(path) as file:
        file.write(content)
    return path
