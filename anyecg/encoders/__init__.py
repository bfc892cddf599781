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
    },
)
