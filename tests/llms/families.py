"""Small configurations of many families, and texts for their tokenizer."""

TEXTS = [f"Sinus rhythm, PVC from {i % 10}.{i % 7}s to {i % 60}.{i % 9}s. Is the ECG abnormal?" for i in range(300)]
WIDTH, HEADS, LAYERS = 32, 4, 2
LLAMA = dict(
    hidden_size=WIDTH,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    num_key_value_heads=2,
    intermediate_size=48,
    max_position_embeddings=128,
    head_dim=8,
)
NEOX = dict(
    hidden_size=WIDTH,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    intermediate_size=48,
    max_position_embeddings=128,
)
FAMILIES = {
    "Llama": LLAMA,
    "Qwen2": LLAMA,
    "Qwen3": LLAMA,
    "Mistral": LLAMA,
    "Gemma2": LLAMA | dict(final_logit_softcapping=5.0),
    "Cohere": LLAMA | dict(logit_scale=0.25),
    "Granite": LLAMA | dict(logits_scaling=4.0),
    "OPT": dict(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        ffn_dim=48,
        max_position_embeddings=128,
        word_embed_proj_dim=16,
    ),
    "GPT2": dict(n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=128),
    "GPTNeoX": NEOX,
    "Bloom": dict(hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS),
    "Falcon": dict(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS),
}
MORE = {  # of fusion kv
    "Gemma": LLAMA,
    "Phi": NEOX,
    "GPTJ": dict(n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=128, rotary_dim=4),
    "GPTNeo": dict(
        hidden_size=WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        attention_types=[[["global", "local"], 1]],
        window_size=6,
        max_position_embeddings=128,
    ),
}
KNOWN = [family for family in FAMILIES if family != "Falcon"]  # families whose query and key projections are found
