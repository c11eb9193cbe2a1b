"""Peer V: torch.func, vmap over the seeds of one width; another width is another loop."""

from __future__ import annotations

import torch
from problem import Report, features, read
from torch.func import functional_call, grad, stack_module_state, vmap
from torch_loop import make_loss, make_model, make_optimizer, warm_up


def main():
    settings, arrays = read()
    torch.set_num_threads(settings["threads"])
    loss_fn = make_loss(settings)
    train, test = (
        (torch.from_numpy(features(settings, arrays[f"{split}_inputs"])), torch.from_numpy(arrays[f"{split}_targets"]).long())
        for split in ("train", "test")
    )
    eval_steps, num_train, batch_size = set(settings["eval_steps"]), len(train[1]), settings["batch_size"]
    warm_up(settings, train, loss_fn)
    report = Report()
    for width in settings["widths"]:
        models = []
        for seed in settings["seeds"]:
            torch.manual_seed(seed)
            models.append(make_model(settings, train[0].shape[1], width))
        params, _ = stack_module_state(models)
        optimizer = make_optimizer(settings, params.values())

        def loss(params, x, y, model=models[0]):
            return loss_fn(functional_call(model, params, (x,)), y)

        shared = batch_size is None
        gradients = vmap(grad(loss), in_dims=(0, None, None) if shared else (0, 0, 0))
        evaluate = vmap(loss, in_dims=(0, None, None))
        for step in range(settings["steps"] + 1):
            if step in eval_steps:
                with torch.no_grad():
                    report.last = {"train_loss": evaluate(params, *train).mean().item()}
                    report.last["test_loss"] = evaluate(params, *test).mean().item()
            if step == settings["steps"]:
                break
            x, y = train
            if not shared:
                position = step % (num_train // batch_size)
                if position == 0:
                    order = torch.stack([torch.randperm(num_train) for _ in models])
                rows = order[:, position * batch_size : (position + 1) * batch_size]
                x, y = x[rows], y[rows]
            for name, gradient in gradients(params, x, y).items():
                params[name].grad = gradient
            optimizer.step()
            report.trial_steps += len(models)
    report.print()


if __name__ == "__main__":
    main()
