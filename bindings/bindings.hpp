// One function a noun; each lives in the file of that name.
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_baselines(py::module_& m);
void bind_controls(py::module_& m);
void bind_debiased(py::module_& m);
void bind_classifier(py::module_& m);
void bind_comparison(py::module_& m);
void bind_error(py::module_& m);
void bind_information(py::module_& m);
void bind_jsonl(py::module_& m);
void bind_metrics(py::module_& m);
void bind_model(py::module_& m);
void bind_projection(py::module_& m);
void bind_recorder(py::module_& m);
void bind_safetensors(py::module_& m);
void bind_signature(py::module_& m);
void bind_similarity(py::module_& m);
void bind_statistics(py::module_& m);
void bind_trace(py::module_& m);
void bind_trace_set(py::module_& m);
void bind_trace_rows(py::module_& m);
void bind_tuning(py::module_& m);
