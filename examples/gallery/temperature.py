"""
Temperature
===========

Logits divided by a temperature before the softmax. Towards 0 the largest takes all, towards infinity they draw level.
The order of the classes never changes, and nothing overflows at either end.
"""

import matplotlib.pyplot as plt
import numpy as np

import axisoft

logits = np.asarray([3.0, 2.4, 1.0, 0.2, -1.5])
temperatures = np.geomspace(0.001, 1000, 241)
p = axisoft.softmax(logits / temperatures[:, None], axis=-1)
entropy = -np.sum(p * axisoft.log_softmax(logits / temperatures[:, None], axis=-1), axis=-1)
print("coldest", p[0], "hottest", p[-1].round(4))

# %%
# At a temperature of 0.001 the largest logit is 3000, whose exponential no float64 holds.

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
order = plt.get_cmap("viridis")(np.linspace(0, 0.9, 5))
axes[0].stackplot(temperatures, p.T, colors=order, labels=[f"logit {x}" for x in logits], edgecolor="white", lw=0.6)
axes[0].set(xscale="log", xlabel="temperature", ylabel="probability", xlim=(0.02, 100), ylim=(0, 1))
axes[0].legend(loc="lower left", fontsize=8)
axes[1].plot(temperatures, entropy, color="#1b7f5c", lw=2.4)
axes[1].axhline(np.log(5), color="0.5", ls=":", label="log 5: all are the same")
axes[1].set(xscale="log", xlabel="temperature", ylabel="entropy, nats", xlim=(0.02, 100))
axes[1].legend()
plt.show()
