"""ECG encoders: clips `[N, *shape]` to tokens `[N, prefix + patches, dim]`, one file a component."""

from anyecg.registry import Registry

encoders = Registry(
    "encoder",
    {
        "vit": "anyecg.encoders.vit:ViT",
        "merl": "anyecg.encoders.merl:Merl",
        "timm": "anyecg.encoders.timm:TimmViT",
        "xresnet1d": "anyecg.encoders.xresnet1d:XResNet1d",
        "page_vit": "anyecg.encoders.page_vit:PageViT",
        "timm_image": "anyecg.encoders.timm_image:TimmImage",
        "clip": "anyecg.encoders.timm_image:CLIP",
        "siglip2": "anyecg.encoders.timm_image:SigLIP2",
        "conv": "anyecg.encoders.conv:ConvNet",
        "resnet1d": "anyecg.encoders.resnet1d:ResNet1d",
        "pair": "anyecg.encoders.pair:Pair",
        "ecg_jepa": "anyecg.encoders.ecg_jepa:ECGJepa",
        "ecg_fm": "anyecg.encoders.ecg_fm:ECGFM",
        "ecg_founder": "anyecg.encoders.ecg_founder:ECGFounder",
        "melp": "anyecg.encoders.melp:MELP",
        "ecg_coca": "anyecg.encoders.ecg_coca:ECGCoCa",
        "st_mem": "anyecg.encoders.st_mem:STMem",
        "hubert_ecg": "anyecg.encoders.hubert_ecg:HubertECG",
    },
)
