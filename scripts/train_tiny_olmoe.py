"""Train the model that routesig ships: a small OLMoE, from nothing, on licence-clean text.

    python scripts/train_tiny_olmoe.py --out python/routesig/data/tiny-olmoe

Needs torch, numpy, tokenizers and safetensors, and Debian's apt-get and dpkg for the text (nothing is installed).
The same seed, steps and threads give the same bytes on the same machine.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path

# Large blocks kept by the allocator instead of returned: on virtual machines page faults dominate otherwise.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "OMP_WAIT_POLICY": "passive",
}
ROOT = Path(__file__).resolve().parent.parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the small OLMoE that ships with routesig.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--steps", type=int, default=2700, help="optimizer steps of 4,096 tokens (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "tiny-olmoe", help="packages and checkpoints")
    parser.add_argument("--threads", type=int, default=2, help="single-threaded worker processes: 1, 2 or 4")
    parser.add_argument("--checkpoint-every", type=int, default=0, help="also keep the weights every N steps")
    parser.add_argument("--weights", type=Path, help="a checkpoint of an equal run: write the folder without training")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests" / "data", help="folder for the held-out tokens")
    parser.add_argument("--prompts", type=Path, default=ROOT / "python" / "routesig" / "data" / "prompts.jsonl")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    import numpy as np
    import torch

    from tiny_olmoe import card, checkpoint, corpus, prompts, sources, tokenizer, training
    from tiny_olmoe.network import Shape

    shape = Shape()
    unpacked = sources.fetch(options.cache)
    genres, kept = corpus.read_genres(unpacked, options.seed)
    instructions = [pair.instruction for genre in genres.values() for pair in genre.pairs]
    hashes = prompts.hash_table(instructions)
    shipped = prompts.read_prompts(options.prompts)
    prompts.refuse_verbatim(shipped, hashes)

    rng = random.Random(options.seed)
    bpe = tokenizer.train_tokenizer(corpus.tokenizer_sample(genres, rng, 1_500_000), shape.vocab_size)
    windows = corpus.genre_windows(bpe, genres, rng)
    held_out = corpus.held_out_tokens(bpe, kept, rng, 5000)
    print("windows:", [len(rows) for rows in windows], f"{len(hashes)} instructions", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    options.tests.mkdir(parents=True, exist_ok=True)
    tokenizer.save_tokenizer(bpe, options.out, shape.context)
    np.savez_compressed(options.tests / "heldout_tokens.npz", **held_out)
    np.save(options.tests / "training_instruction_hashes.npy", hashes)

    recipe = training.Recipe(options.steps, options.seed, options.threads, checkpoint_every=options.checkpoint_every)
    trained = options.weights or training.train(shape, recipe, windows, options.cache / "checkpoints")
    checkpoint.save_folder(torch.load(trained), shape, options.out)
    measured = card.measure(checkpoint.load_folder(options.out, shape), held_out)
    words = card.prompt_overlap(shipped, instructions)
    card.write_card(options.out, shape, recipe, genres, windows, measured, words)


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})
    main()
