"""What each source is, where it is published and what its licence asks for."""

from __future__ import annotations

from dataclasses import dataclass

LICENCES = {  # what each asks of whoever uses the data
    "CC BY 4.0": "credit the authors, link the licence, say what you changed",
    "ODC-By 1.0": "credit the source wherever the data, or what is made from them, is published",
    "ODbL 1.0": "credit the source; a database made from it and published stays under ODbL 1.0 (share-alike)",
}
PHYSIONET = (
    "Goldberger et al. PhysioBank, PhysioToolkit, and PhysioNet: components of a new research resource for complex "
    "physiologic signals. "
    "Circulation 101(23):e215-e220, 2000."
)


@dataclass(frozen=True)
class Source:
    """A published data set.

    slug, version: PhysioNet's, slug empty where it is published elsewhere; folder: the part of the release that is the
    source, "" for all of it; size: GB on disk, about; cite: what its authors ask to be cited; hint: what helps to get
    it.
    """

    title: str
    slug: str
    version: str
    size: float
    licence: str
    cite: tuple[str, ...]
    folder: str = ""
    hint: str = ""

    @property
    def page(self) -> str:
        """Where a reader finds its description, its licence in full and how to cite it."""
        return f"https://physionet.org/content/{self.slug}/{self.version}/" if self.slug else self.hint


SOURCES = {  # by the name of the corpus that reads it
    "mimic": Source(
        "MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset",
        "mimic-iv-ecg",
        "1.0",
        90.4,
        "ODbL 1.0",
        (
            "Gow et al. MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset (version 1.0). PhysioNet, 2023. "
            "doi:10.13026/4nqg-sb35",
            PHYSIONET,
        ),
        hint="1.6 million small files, a day or more one by one. Faster: unpack PhysioNet's zip file in the folder, or "
        "`aws s3 sync --no-sign-request s3://physionet-open/mimic-iv-ecg/1.0/ FOLDER`; this command then checks every "
        "file and fetches what is missing.",
    ),
    "ptbxl": Source(
        "PTB-XL, a large publicly available electrocardiography dataset",
        "ptb-xl",
        "1.0.3",
        3.0,
        "CC BY 4.0",
        (
            "Wagner et al. PTB-XL, a large publicly available electrocardiography dataset. Scientific Data 7:154, "
            "2020.",
            "Wagner et al. PTB-XL (version 1.0.3). PhysioNet, 2022. doi:10.13026/kfzx-aw45",
            PHYSIONET,
        ),
    ),
    "cpsc2018": Source(
        "CPSC2018, as released in the PhysioNet/Computing in Cardiology Challenge 2021",
        "challenge-2021",
        "1.0.3",
        1.3,
        "CC BY 4.0",
        (
            "Liu et al. An open access database for evaluating the algorithms of electrocardiogram rhythm and "
            "morphology abnormality "
            "detection. Journal of Medical Imaging and Health Informatics 8(7):1368-1373, 2018.",
            "Reyna et al. Will Two Do? Varying Dimensions in Electrocardiography (version 1.0.3). PhysioNet, 2022. "
            "doi:10.13026/34va-7q14",
            PHYSIONET,
        ),
        folder="training/cpsc_2018",
    ),
    "g12ec": Source(
        "G12EC (Georgia), as released in the PhysioNet/Computing in Cardiology Challenge 2021",
        "challenge-2021",
        "1.0.3",
        1.2,
        "CC BY 4.0",
        (
            "Perez Alday et al. Classification of 12-lead ECGs: the PhysioNet/Computing in Cardiology Challenge 2020. "
            "Physiological Measurement 41:124003, 2020.",
            "Reyna et al. Will Two Do? Varying Dimensions in Electrocardiography (version 1.0.3). PhysioNet, 2022. "
            "doi:10.13026/34va-7q14",
            PHYSIONET,
        ),
        folder="training/georgia",
    ),
    "code15": Source(
        "CODE-15%: a large scale annotated dataset of 12-lead ECGs",
        "",
        "1.0.0",
        58.0,
        "CC BY 4.0",
        (
            "Ribeiro et al. CODE-15%: a large scale annotated dataset of 12-lead ECGs. Zenodo, 2021. "
            "doi:10.5281/zenodo.4916206",
            "Lima et al. Deep neural network-estimated electrocardiographic age as a mortality predictor. Nature "
            "Communications 12:5117, 2021.",
        ),
        hint="https://zenodo.org/records/4916206",
    ),
    "csn": Source(
        "A large scale 12-lead electrocardiogram database for arrhythmia study (Chapman-Shaoxing-Ningbo)",
        "ecg-arrhythmia",
        "1.0.0",
        5.4,
        "CC BY 4.0",
        (
            "Zheng et al. Optimal Multi-Stage Arrhythmia Classification Approach. Scientific Reports 10:2898, 2020.",
            "Zheng et al. A large scale 12-lead electrocardiogram database for arrhythmia study (version 1.0.0). "
            "PhysioNet, 2022. "
            "doi:10.13026/wgex-er52",
            PHYSIONET,
        ),
    ),
    "ludb": Source(
        "Lobachevsky University Electrocardiography Database",
        "ludb",
        "1.0.1",
        0.03,
        "ODC-By 1.0",
        (
            "Kalyakulina et al. LUDB: A New Open-Access Validation Tool for Electrocardiogram Delineation Algorithms. "
            "IEEE Access 8:186181-186190, 2020.",
            "Kalyakulina et al. Lobachevsky University Electrocardiography Database (version 1.0.1). PhysioNet, 2021. "
            "doi:10.13026/eegm-h675",
            PHYSIONET,
        ),
    ),
    "mit_bih_arrhythmia": Source(
        "MIT-BIH Arrhythmia Database",
        "mitdb",
        "1.0.0",
        0.1,
        "ODC-By 1.0",
        (
            "Moody, Mark. The impact of the MIT-BIH Arrhythmia Database. IEEE Engineering in Medicine and Biology "
            "20(3):45-50, 2001. "
            "doi:10.13026/C2F305",
            PHYSIONET,
        ),
    ),
    "european_st_t": Source(
        "European ST-T Database",
        "edb",
        "1.0.0",
        0.5,
        "ODC-By 1.0",
        (
            "Taddei et al. The European ST-T database: standard for evaluating systems for the analysis of ST-T "
            "changes in ambulatory "
            "electrocardiography. European Heart Journal 13:1164-1172, 1992. doi:10.13026/C2D59Z",
            PHYSIONET,
        ),
    ),
    "qtdb": Source(
        "QT Database, its excerpts of the European ST-T Database",
        "qtdb",
        "1.0.0",
        0.1,
        "ODC-By 1.0",
        (
            "Laguna et al. A database for evaluation of algorithms for measurement of QT and other waveform intervals "
            "in the ECG. Computers in Cardiology 24:673-676, 1997. doi:10.13026/C24K53",
            "Taddei et al. The European ST-T database: standard for evaluating systems for the analysis of ST-T "
            "changes in ambulatory electrocardiography. European Heart Journal 13:1164-1172, 1992.",
            PHYSIONET,
        ),
    ),
    "mit_bih_st": Source(
        "MIT-BIH ST Change Database",
        "stdb",
        "1.0.0",
        0.05,
        "ODC-By 1.0",
        (
            "Albrecht. S-T segment characterization for long-term automated ECG analysis. M.S. thesis, MIT, 1983. "
            "doi:10.13026/C2ZW2H",
            PHYSIONET,
        ),
    ),
    "ecgqa": Source(
        "ECG-QA: questions about PTB-XL and MIMIC-IV-ECG",
        "",
        "1.0.2",
        1.2,
        "CC BY 4.0",
        (
            "Oh et al. ECG-QA: A Comprehensive Question Answering Dataset Combined With Electrocardiogram. NeurIPS "
            "Datasets and Benchmarks, 2023.",
        ),
        hint="https://github.com/Jwoo5/ecg-qa",
    ),
}
