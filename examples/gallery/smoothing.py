"""
Label smoothing, and its gradient
=================================

Without smoothing a loss falls for ever as the labelled class takes the lead: the best logits are infinite. Smoothing
gives every class a little, and the loss has a minimum, where its gradient crosses 0.
"""

import matplotlib.pyplot as plt
import numpy as np

import axisoft

lead = np.linspace(-3, 14, 341)
logits = np.zeros((lead.size, 10))
logits[:, 0] = lead  # the labelled class of ten
labels = np.zeros(lead.size, dtype=int)
smoothings = (0.0, 0.01, 0.1, 0.3)

# %%
# With K classes and a smoothing of s the minimum is where softmax gives the label 1 - s + s / K, a lead of
# log((1 - s + s / K) / (s / K)).

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
colours = plt.get_cmap("plasma")(np.linspace(0, 0.8, len(smoothings)))
for smoothing, colour in zip(smoothings, colours, strict=True):
    options = {"label_smoothing": smoothing, "reduction": "none"}
    value, pullback = axisoft.vjp(axisoft.cross_entropy, logits, labels, **options)
    gradient, _ = pullback(np.ones(lead.size))
    axes[0].plot(lead, value, color=colour, lw=2, label=f"s = {smoothing}")
    axes[1].plot(lead, gradient[:, 0], color=colour, lw=2)
    if smoothing:
        best = np.log((1 - smoothing + smoothing / 10) / (smoothing / 10))
        print(f"s = {smoothing}: the least loss at a lead of {lead[np.argmin(value)]:.2f}, by formula {best:.2f}")
        axes[1].plot(best, 0, "o", color=colour, zorder=3)
axes[0].set(xlabel="lead of the label", ylabel="loss, nats", ylim=(0, 5))
axes[0].legend()
axes[1].axhline(0, color="0.6", lw=1)
axes[1].set(xlabel="lead of the label", ylabel="gradient along the label", ylim=(-1, 0.25))
plt.show()
