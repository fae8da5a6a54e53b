"""Published breathing populations, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ptvkit.errors import MotionError

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A breathing population as it was published.

    Attributes
    ----------
    amplitude_mm, amplitude_sd_mm : (3,)
        (LR, AP, SI), peak to peak; SD between patients, 0 where it was not published.
    source : str
    note : str
        What the figures are, and what they are not.
    """

    amplitude_mm: Triple
    amplitude_sd_mm: Triple = (0.0, 0.0, 0.0)
    source: str
    note: str


_MEDIAN = "a median with its range: one typical patient, not a population; half of all patients move further"

breathing_presets: Final[Mapping[str, Preset]] = {
    "liver-free-median": Preset(
        amplitude_mm=(1.3, 3.8, 11.9),
        source="Liang et al. 2018, J Appl Clin Med Phys 19(3):94; liver tumours, n = 14",
        note=f"{_MEDIAN} (LR 0.4–4, AP 0.9–7.7, SI 5.1–17.3 mm). Amplitudes varied by 4.3 mm within and 1.7 mm between"
        " fractions on SI (medians); as the source does not say whether these are SDs or ranges, none is taken over:"
        " give variation=",
    ),
    "liver-free-population": Preset(
        amplitude_mm=(1.3, 3.8, 11.9),
        amplitude_sd_mm=(1.1, 2.0, 3.6),
        source="Liang et al. 2018, J Appl Clin Med Phys 19(3):94; liver tumours, n = 14",
        note="middle values as means; SD between patients derived from the published ranges (of 14 Gaussian values the"
        " range is 3.41 SD)",
    ),
    "liver-free-hcc": Preset(
        amplitude_mm=(0.0, 0.0, 10.46),
        amplitude_sd_mm=(0.0, 0.0, 2.78),
        source="Hu et al. 2017, PMID 28585715; hepatocellular carcinoma, 4DCT, no resection, n = 40",
        note="mean and SD between patients (range 5.6–18.8 mm); SI alone, in 3D 11.74 ± 2.65 mm",
    ),
    "liver-cine-mr-median": Preset(
        amplitude_mm=(0.0, 0.0, 11.7),
        source="Eccles et al. 2011, Int J Radiat Oncol Biol Phys 79:602; cine MR without compression",
        note=f"{_MEDIAN} (SI 4.8–23.3 mm); SI alone was reported",
    ),
    "liver-compression": Preset(
        amplitude_mm=(2.9, 2.3, 5.3),
        amplitude_sd_mm=(1.2, 1.1, 2.2),
        source="10.1186/s13014-016-0762-z; abdominal compression, 4DCT, n = 53",
        note="mean and SD between patients",
    ),
    "liver-dynamic-mri": Preset(
        amplitude_mm=(0.0, 0.0, 24.4),
        amplitude_sd_mm=(0.0, 0.0, 16.4),
        source="Radiother Oncol 2003;68:69; dynamic MRI, n = 12",
        note="mean and SD between patients; SI alone was reported; deep breaths among them",
    ),
}
"""Presets of `Breathing.preset`, each with its source."""


def preset_named(name: str) -> Preset:
    """A preset by its name.

    Raises
    ------
    MotionError
    """
    if name not in breathing_presets:
        raise MotionError(f"breathing preset {name!r}: use one of {', '.join(breathing_presets)}")
    return breathing_presets[name]
