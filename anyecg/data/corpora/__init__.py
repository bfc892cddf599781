"""Readers of the sources, exactly as downloaded, one small file each."""

from anyecg.registry import Registry

corpora = Registry(
    "corpus",
    {
        "mimic": "anyecg.data.corpora.mimic:MIMIC",
        "ptbxl": "anyecg.data.corpora.ptbxl:PTBXL",
        "cpsc2018": "anyecg.data.corpora.cpsc2018:CPSC2018",
        "g12ec": "anyecg.data.corpora.g12ec:G12EC",
        "code15": "anyecg.data.corpora.code15:CODE15",
        "csn": "anyecg.data.corpora.csn:CSN",
        "ludb": "anyecg.data.corpora.ludb:LUDB",
        "mit_bih_arrhythmia": "anyecg.data.corpora.annotated:MITBIHArrhythmia",
        "mit_bih_st": "anyecg.data.corpora.annotated:MITBIHSTChange",
        "table": "anyecg.data.own.corpus:TableCorpus",
        "twins": "anyecg.data.corpora.twins:Twins",
        "european_st_t": "anyecg.data.corpora.annotated:EuropeanSTT",
        "qtdb": "anyecg.data.corpora.annotated:QTDB",
    },
)
