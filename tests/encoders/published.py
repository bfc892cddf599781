"""The released encoders once more, as their descriptions have them, from tensors under their published names: what ours
must equal.

`names(layers)` gives name -> shape of a file; `forward(state, clips)` the tokens.
"""

import torch
from torch.nn import functional as F


def linear(state, name, x):
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def norm(state, name, x):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def attended(q, k, v, heads, mask=None):
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return (scores.softmax(3) @ v).transpose(1, 2).flatten(2)


def pair(name, out, into, bias=True):
    return {f"{name}.weight": (out, into)} | ({f"{name}.bias": (out,)} if bias else {})


def scale(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


class Jepa:
    @staticmethod
    def names(layers):
        found = {"pos_embed": (400, 768), **pair("W_P", 768, 50), **scale("norm", 768)}
        for i in range(layers):
            ahead = f"encoder_blocks.blocks.{i}"
            found |= scale(f"{ahead}.norm1", 768) | scale(f"{ahead}.norm2", 768)
            found |= pair(f"{ahead}.attn.qkv", 2304, 768, bias=False) | pair(f"{ahead}.attn.proj", 768, 768)
            found |= pair(f"{ahead}.mlp.fc1", 3072, 768) | pair(f"{ahead}.mlp.fc2", 768, 3072)
        return found

    @staticmethod
    def forward(state, clips, layers):
        lead, time = torch.arange(400) // 50, torch.arange(400) % 50
        seen = (lead[:, None] == lead) | (time[:, None] == time)
        x = linear(state, "W_P", clips.reshape(len(clips), 400, 50))
        for i in range(layers):
            ahead = f"encoder_blocks.blocks.{i}"
            x = x + state["pos_embed"]
            q, k, v = linear(state, f"{ahead}.attn.qkv", norm(state, f"{ahead}.norm1", x)).chunk(3, 2)
            x = x + linear(state, f"{ahead}.attn.proj", attended(q, k, v, 16, seen))
            inner = F.gelu(linear(state, f"{ahead}.mlp.fc1", norm(state, f"{ahead}.norm2", x)))
            x = x + linear(state, f"{ahead}.mlp.fc2", inner)
        return norm(state, "norm", x)


class StMem:
    @staticmethod
    def names(layers):
        found = {
            **scale("to_patch_embedding.1", 75),
            **pair("to_patch_embedding.2", 768, 75),
            **scale("to_patch_embedding.3", 768),
            "pos_embedding": (1, 32, 768),
            "sep_embedding": (768,),
            **{f"lead_embeddings.{i}": (768,) for i in range(12)},
            **scale("norm", 768),
        }
        for i in range(layers):
            found |= scale(f"block{i}.attn.norm", 768) | scale(f"block{i}.ff.norm", 768)
            found |= pair(f"block{i}.attn.fn.to_qkv", 2304, 768) | pair(f"block{i}.attn.fn.to_out.0", 768, 768)
            found |= pair(f"block{i}.ff.fn.net.0", 3072, 768) | pair(f"block{i}.ff.fn.net.3", 768, 3072)
        return found

    @staticmethod
    def forward(state, clips, layers):
        x = clips[:, :, 125:2375].unflatten(2, (30, 75))
        x = norm(state, "to_patch_embedding.1", x)
        x = norm(state, "to_patch_embedding.3", linear(state, "to_patch_embedding.2", x))
        rows = []
        for lead in range(12):
            places = state["pos_embedding"][0]
            separator = state["sep_embedding"].expand(len(x), 1, -1)
            row = torch.cat([separator + places[:1], x[:, lead] + places[1:31], separator + places[31:]], dim=1)
            rows.append(row + state[f"lead_embeddings.{lead}"])
        x = torch.cat(rows, dim=1)
        for i in range(layers):
            q, k, v = linear(state, f"block{i}.attn.fn.to_qkv", norm(state, f"block{i}.attn.norm", x)).chunk(3, 2)
            x = x + linear(state, f"block{i}.attn.fn.to_out.0", attended(q, k, v, 12))
            inner = F.gelu(linear(state, f"block{i}.ff.fn.net.0", norm(state, f"block{i}.ff.norm", x)))
            x = x + linear(state, f"block{i}.ff.fn.net.3", inner)
        return torch.cat([x[:, 32 * lead + 1 : 32 * lead + 31] for lead in range(12)], dim=1)


class Coca:
    @staticmethod
    def names(layers):
        found = {
            "ecg.conv1.weight": (768, 12, 50),
            "ecg.class_embedding": (768,),
            "ecg.positional_embedding": (101, 768),
            **scale("ecg.ln_pre", 768),
            **scale("ecg.ln_post", 768),
        }
        for i in range(layers):
            ahead = f"ecg.transformer.resblocks.{i}"
            found |= scale(f"{ahead}.ln_1", 768) | scale(f"{ahead}.ln_2", 768)
            found |= {f"{ahead}.attn.in_proj_weight": (2304, 768), f"{ahead}.attn.in_proj_bias": (2304,)}
            found |= pair(f"{ahead}.attn.out_proj", 768, 768)
            found |= pair(f"{ahead}.mlp.c_fc", 3072, 768) | pair(f"{ahead}.mlp.c_proj", 768, 3072)
        return found

    @staticmethod
    def forward(state, clips, layers):
        x = F.conv1d(clips, state["ecg.conv1.weight"], stride=50).transpose(1, 2)
        x = torch.cat([state["ecg.class_embedding"].expand(len(x), 1, -1), x], dim=1) + state["ecg.positional_embedding"]
        x = norm(state, "ecg.ln_pre", x)
        for i in range(layers):
            ahead = f"ecg.transformer.resblocks.{i}"
            packed = F.linear(
                norm(state, f"{ahead}.ln_1", x), state[f"{ahead}.attn.in_proj_weight"], state[f"{ahead}.attn.in_proj_bias"]
            )
            x = x + linear(state, f"{ahead}.attn.out_proj", attended(*packed.chunk(3, 2), 12))
            inner = F.gelu(linear(state, f"{ahead}.mlp.c_fc", norm(state, f"{ahead}.ln_2", x)))
            x = x + linear(state, f"{ahead}.mlp.c_proj", inner)
        return norm(state, "ecg.ln_post", x)


class Wav2Vec:
    """ECG-FM and MELP."""

    @staticmethod
    def names(layers):
        found = {
            "feature_extractor.conv_layers.0.0.weight": (256, 12, 2),
            **{f"feature_extractor.conv_layers.{i}.0.weight": (256, 256, 2) for i in (1, 2, 3)},
            **scale("feature_extractor.conv_layers.0.2", 256),
            **scale("layer_norm", 256),
            **pair("post_extract_proj", 768, 256),
            "conv_pos.pos_conv.0.bias": (768,),
            "conv_pos.pos_conv.0.weight_g": (1, 1, 128),
            "conv_pos.pos_conv.0.weight_v": (768, 48, 128),
            **scale("encoder.layer_norm", 768),
        }
        for i in range(layers):
            ahead = f"encoder.layers.{i}"
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                found |= pair(f"{ahead}.self_attn.{part}", 768, 768)
            found |= scale(f"{ahead}.self_attn_layer_norm", 768) | scale(f"{ahead}.final_layer_norm", 768)
            found |= pair(f"{ahead}.fc1", 3072, 768) | pair(f"{ahead}.fc2", 768, 3072)
        return found

    @staticmethod
    def forward(state, clips, layers):
        x = clips
        for i in range(4):
            x = F.conv1d(x, state[f"feature_extractor.conv_layers.{i}.0.weight"], stride=2)
            if not i:
                groups = (f"feature_extractor.conv_layers.0.2.{part}" for part in ("weight", "bias"))
                x = F.group_norm(x, 256, *(state[name] for name in groups))
            x = F.gelu(x)
        x = linear(state, "post_extract_proj", norm(state, "layer_norm", x.transpose(1, 2)))
        v = state["conv_pos.pos_conv.0.weight_v"]
        kernel = state["conv_pos.pos_conv.0.weight_g"] * v / v.norm(dim=(0, 1), keepdim=True)
        places = F.conv1d(x.transpose(1, 2), kernel, state["conv_pos.pos_conv.0.bias"], padding=64, groups=16)
        x = norm(state, "encoder.layer_norm", x + F.gelu(places[..., :-1]).transpose(1, 2))
        for i in range(layers):
            ahead = f"encoder.layers.{i}"
            q, k, v = (linear(state, f"{ahead}.self_attn.{part}_proj", x) for part in "qkv")
            x = x + linear(state, f"{ahead}.self_attn.out_proj", attended(q, k, v, 12))
            x = norm(state, f"{ahead}.self_attn_layer_norm", x)
            x = x + linear(state, f"{ahead}.fc2", F.gelu(linear(state, f"{ahead}.fc1", x)))
            x = norm(state, f"{ahead}.final_layer_norm", x)
        return x


class Founder:
    WIDTHS, BLOCKS = (64, 160, 160, 400, 400, 1024, 1024), (2, 2, 2, 3, 3, 4, 4)

    @classmethod
    def names(cls, layers):
        found, into = {"first_conv.conv.weight": (64, layers, 16), "first_conv.conv.bias": (64,)}, 64  # layers: leads
        for stage, (width, count) in enumerate(zip(cls.WIDTHS, cls.BLOCKS, strict=True)):
            for block in range(count):
                ahead = f"stage_list.{stage}.block_list.{block}"
                for number, shape in enumerate([(width, into, 1), (width, 16, 16), (width, width, 1)], start=1):
                    found[f"{ahead}.conv{number}.conv.weight"] = shape
                    found[f"{ahead}.conv{number}.conv.bias"] = (width,)
                found |= pair(f"{ahead}.se_fc1", width // 2, width) | pair(f"{ahead}.se_fc2", width, width // 2)
                into = width
        return found

    @classmethod
    def passed_over(cls):
        """The batch norms that the published network has and does not use."""
        widths, into = {"first_bn": 64}, 64
        for stage, (width, count) in enumerate(zip(cls.WIDTHS, cls.BLOCKS, strict=True)):
            for block in range(count):
                ahead = f"stage_list.{stage}.block_list.{block}"
                widths |= {f"{ahead}.bn1": into, f"{ahead}.bn2": width, f"{ahead}.bn3": width}
                into = width
        return widths

    @classmethod
    def forward(cls, state, clips, layers):
        def swish(x):
            return x * torch.sigmoid(x)

        def conv(name, x, stride=1, groups=1):
            weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
            length = (x.shape[2] + stride - 1) // stride
            spare = max(0, (length - 1) * stride + weight.shape[2] - x.shape[2])
            return F.conv1d(F.pad(x, (spare // 2, spare - spare // 2)), weight, bias, stride, groups=groups)

        x = swish(conv("first_conv", clips, 2))
        for stage, (width, count) in enumerate(zip(cls.WIDTHS, cls.BLOCKS, strict=True)):
            for block in range(count):
                ahead, stride = f"stage_list.{stage}.block_list.{block}", 1 if block else 2
                out = conv(f"{ahead}.conv1", x if not stage and not block else swish(x))
                out = swish(conv(f"{ahead}.conv2", swish(out), stride, width // 16))
                out = conv(f"{ahead}.conv3", out)
                weights = linear(state, f"{ahead}.se_fc2", swish(linear(state, f"{ahead}.se_fc1", out.mean(2))))
                out = out * torch.sigmoid(weights)[:, :, None]
                if stride == 2:
                    x = F.pad(x, (0, 1))[..., : 2 * ((x.shape[2] + 1) // 2)].unflatten(2, (-1, 2)).amax(3)
                more = width - x.shape[1]
                x = out + F.pad(x, (0, 0, more // 2, more - more // 2))
        return x.transpose(1, 2)
