"""The page's words, each explained once."""

TERMS = {
    "signature": (
        "Routing signature",
        "Per layer, the share of a prompt's routing that each expert receives. It sums to 1 in every layer.",
    ),
    "similarity": (
        "Similarity",
        "The cosine of two prompts' signatures in each layer, averaged over layers. 1: routed alike.",
    ),
    "within": (
        "Within",
        "Mean similarity of two prompts of the same task, and of different groups where prompts have groups.",
    ),
    "across": ("Across", "Mean similarity of two prompts of different tasks."),
    "difference": ("D", "Within minus across: how much more alike prompts of one task are routed, in units of cosine."),
    "d": (
        "Cohen's d",
        "D over the pooled standard deviation of the similarities of pairs. Pairs share prompts, so d is a size, "
        "never a test; its interval is a bootstrap over prompts.",
    ),
    "p": (
        "p-value",
        "The share of labellings with a D at least as large, the labels of prompts (or of whole groups) permuted. Its "
        "floor is the smallest value that this many labellings allow. The null hypothesis also says that tasks do not "
        "differ in text length: read it beside the controls.",
    ),
    "interval": (
        "95 % interval",
        "A bootstrap over prompts (or groups of prompts), bias-corrected and accelerated where defined. It is about "
        "other prompts of these tasks, not about other tasks or models.",
    ),
    "accuracy": (
        "Accuracy",
        "Held-out prompts whose task logistic regression predicts from the signature, under stratified "
        "cross-validation. The range is Wilson's 95 % interval of the pooled hits; \u00b1 is the standard deviation "
        "over folds.",
    ),
    "lexical": (
        "Lexical share",
        "How much of D is left when each token is given the routing of another occurrence of the same token, in any "
        "prompt: the most that can be put down to which tokens occur. A token that occurs in one task only keeps that "
        "task's routing.",
    ),
    "length": (
        "Length",
        "D under load balance: what texts of these lengths give when every token draws its experts uniformly.",
    ),
    "vocabulary": (
        "Vocabulary",
        "D with each token given the routing of another occurrence of the same token, less length: the most that can "
        "be put down to which tokens occur.",
    ),
    "context": (
        "Context",
        "The rest of D: what is not put down to length or to which tokens occur. Whether it follows the task is a "
        "question of its own, which the context test answers.",
    ),
    "load_balance": (
        "Load balance",
        "Every token draws its experts uniformly. The similarity it gives depends on text length and tends to 1, so it "
        "says what text length alone gives. It is no evidence about the model.",
    ),
    "permuted": ("Experts permuted", "In every prompt and layer the experts' names are permuted at random."),
    "marginal": ("Popular experts", "Every token draws its experts with the probabilities of the pooled prompts."),
    "pool": ("Tokens pooled", "Whole tokens, with all their layers, are permuted among prompts; lengths stay."),
    "debiased": (
        "Debiased",
        "Similarity that does not depend on text length: squared norms from pairs of different tokens.",
    ),
    "adjusted": (
        "Adjusted p",
        "Holds for all layers together (single-step max-T on the shared permutations).",
    ),
    "uniform": ("Uniform routing", "Every token draws its experts at random, each expert alike: a share of 1/E."),
    "entropy": (
        "Entropy",
        "In bits, of a layer's load over its experts: log2(E) where even. Few tokens make it too low, chance's too.",
    ),
    "information": (
        "Information",
        "Bits about the task in the expert of a random selection of the layer, corrected by permuted labels.",
    ),
    "agreement": (
        "Agreement elsewhere",
        "The share of a token's experts that the same token id chose in other prompts, averaged over its occurrences "
        "there. Near 1 the token id alone predicts the routing; near chance it predicts nothing.",
    ),
}
