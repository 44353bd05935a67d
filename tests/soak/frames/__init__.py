"""A million mutated frames and answers: nothing but our own errors, no growth, no secret.

The mutator is coverage-guided. It is our own, because `sys.monitoring` makes that short: a branch
that was seen once costs nothing more. atheris 3.1 installs on this Python as well, but it brings
a C++ runtime for Linux only, ends the process with the first fault, and needs a mutator in Python
for structured values all the same. Hypothesis generates by its own strategies and does not see
coverage. A run is repeatable by its seed.

- `coverage`: which branches of the product an input reaches for the first time.
- `mutator`: changes JSON values as values, descriptions by lines, texts by characters.
- `seeds`: valid answers and frames, from the simulator and the captured descriptions.
- `targets` and `checks`: the entries of the product that take input, and what must hold.
- `fuzzer`: the loop; `shrink`: the shortest input of a fault.
- `corpus/`: one file for each target, with the inputs that found something.
"""
