// routesig._core: a table of contents.
#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "half_made.hpp"
#include "one_sentence.hpp"
#include "routesig/parallel.hpp"
#include "routesig/version.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Recording, signatures and statistics of routesig, compiled; use the names of the package `routesig`.";
  m.attr("__version__") = ROUTESIG_VERSION;

  bind_error(m);
  bind_trace(m);
  bind_trace_set(m);
  bind_trace_rows(m);
  bind_recorder(m);
  bind_jsonl(m);
  bind_safetensors(m);
  bind_signature(m);
  bind_similarity(m);
  bind_statistics(m);
  bind_baselines(m);
  bind_controls(m);
  bind_debiased(m);
  bind_classifier(m);
  bind_projection(m);
  bind_metrics(m);
  bind_information(m);
  bind_tuning(m);
  bind_comparison(m);
  refuse_half_made(m);
  refuse_in_one_sentence(m);

  m.def(
      "num_threads", &routesig::num_threads,
      R"(Number of threads that loops use: `set_num_threads`, else ROUTESIG_NUM_THREADS, else the processors available.

Examples
--------
>>> import routesig as rs
>>> rs.num_threads() >= 1
True
)");
  m.def("set_num_threads", &routesig::set_num_threads, py::arg("count"),
        "Set the number of threads; 0 goes back to the default. See `routesig.set_num_threads`.");
}
