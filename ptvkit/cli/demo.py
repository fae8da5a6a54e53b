"""`ptvkit demo`: the whole chain on the built-in liver phantom."""

from pathlib import Path
from typing import Annotated

import typer

from ptvkit.cli.options import console, output_folder
from ptvkit.cli.run import run
from ptvkit.cli.simulate import simulate
from ptvkit.cli.targets import targets

STUDY = "liver-protocol"
PATIENTS = 500
"""Enough to see with; --study liver-protocol on its own takes a thousand."""
CTV, PTV, BREATHING = "10", "10", "S=12,I=18"
"""The protocol's margins for liver metastases, mm; of the 3 to 30 mm for breathing, a large amplitude's."""


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="DIR")] = Path("ptvkit-demo"),
) -> None:
    """Run the whole chain on a built-in liver phantom: image, GTV, CTV, PTV, courses of treatment, a study's report."""
    from ptvkit import phantom
    from ptvkit.io.files import write_together
    from ptvkit.io.nifti import write_image, write_mask

    grid = phantom.grid()
    with write_together(output_folder(out)) as stage:
        write_image(phantom.image(grid), grid, stage / "ct.nii.gz")
        for name in ("gtv", "liver"):
            write_mask(phantom.mask(name, grid), stage / f"{name}.nii.gz")
    targets(
        gtv=out / "gtv.nii.gz",
        ctv=CTV,
        ptv=PTV,
        breathing=BREATHING,
        out=out,
        limit=f"{out / 'liver.nii.gz'}",
        image=str(out / "ct.nii.gz"),
        picture=True,
    )
    stdout = console()
    stdout.print(f"The phantom's GTV truly holds {phantom.region('gtv').volume_cc:.2f} cc.")
    simulate(
        out=out,
        ctv=f"{out / 'ctv.nii.gz'}",
        ptv=f"{out / 'ptv.nii.gz'}",
        study=STUDY,
        image=f"{out / 'ct.nii.gz'}",
        patients=PATIENTS,
    )
    study_report(out)
    stdout.print(f"Pictures in {out}: {', '.join(sorted(path.name for path in out.glob('*.png')))}")
    stdout.print("The same:")
    stdout.print(
        f"  ptvkit targets {out}/gtv.nii.gz --limit {out}/liver.nii.gz"
        f" --ctv {CTV} --ptv {PTV} --breathing {BREATHING} -o DIR"
    )
    stdout.print(
        f"  ptvkit simulate --ctv {out}/ctv.nii.gz --ptv {out}/ptv.nii.gz --study {STUDY} --patients {PATIENTS} -o DIR"
    )
    stdout.print(f"  ptvkit run {out}/study.toml -o DIR")


def study_report(out: Path) -> None:
    """Run the demo's study on its files, anew."""
    from ptvkit.errors import FileError
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
    run(study=path, out=out)
