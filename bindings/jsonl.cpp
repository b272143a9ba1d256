#include "routesig/io/jsonl.hpp"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bindings.hpp"
#include "claimed.hpp"
#include "long_work.hpp"

namespace {

// Sentences heard while the GIL is not held become Python warnings afterwards.
routesig::TraceSet read_warning(const std::filesystem::path& path, bool recover, int experts, bool drop_invalid) {
  std::vector<std::string> notes;
  routesig::TraceSet traces = [&] {
    const LongWork working;
    return routesig::read_jsonl(path, {.recover = recover, .experts = experts, .drop_invalid = drop_invalid},
                                [&](const std::string& note) { notes.push_back(note); });
  }();
  for (const std::string& note : notes)
    if (PyErr_WarnEx(PyExc_UserWarning, note.c_str(), 2) != 0) throw py::error_already_set();
  return traces;
}

}  // namespace

void bind_jsonl(py::module_& m) {
  using routesig::JsonlRecorder;
  py::class_<JsonlRecorder, routesig::RoutingRecorder, std::shared_ptr<JsonlRecorder>>(
      m, "JsonlRecorder",
      "Streams traces to PATH.partial; `close` makes it PATH. With resume, whole prompts of an earlier run are kept.")
      .def(py::init([](std::filesystem::path path, std::string settings, std::optional<std::uint64_t> prompts,
                       std::string prompts_sha256, std::string command, bool weights,
                       std::optional<std::vector<std::string>> vocabulary, bool resume, bool overwrite) {
             routesig::JsonlOptions options{
                 .run = {std::move(settings), prompts, std::move(prompts_sha256), std::move(command)},
                 .weights = weights,
                 .resume = resume,
                 .overwrite = overwrite};
             if (vocabulary)
               options.vocabulary = std::make_shared<const std::vector<std::string>>(*std::move(vocabulary));
             return std::make_shared<JsonlRecorder>(std::move(path), std::move(options));
           }),
           py::arg("path"), py::kw_only(), py::arg("settings") = "", py::arg("prompts") = py::none(),
           py::arg("prompts_sha256") = "", py::arg("command") = "", py::arg("weights") = true,
           py::arg("vocabulary") = py::none(), py::arg("resume") = false, py::arg("overwrite") = false)
      .def_property_readonly(
          "kept", [](const JsonlRecorder& r) { return r.kept(); }, "Ids of the whole prompts that resume found.")
      .def("flush", claimed(&JsonlRecorder::flush), "What was recorded so far survives the end of the process.")
      .def("sync", claimed(&JsonlRecorder::sync), "What was recorded so far survives a power cut.")
      .def("close", claimed(&JsonlRecorder::close), "Writes the last line, syncs, renames to the final name.");
  m.def("read_jsonl", &read_warning, py::arg("path"), py::kw_only(), py::arg("recover") = false, py::arg("experts") = 0,
        py::arg("drop_invalid") = false);
  m.def(
      "jsonl_head", [](const routesig::TraceSet& traces) { return py::bytes(routesig::jsonl_head(traces)); },
      py::arg("traces"), "The header and prompt lines of a trace file.");
  m.def(
      "parse_jsonl_head",
      [](const py::bytes& lines, const std::string& name) {
        return routesig::parse_jsonl(std::string_view(lines), name, {.recover = true});
      },
      py::arg("lines"), py::arg("name"), "The prompts of such lines, without tokens; `name` stands in messages.");
  m.def(
      "looks_like_jsonl_trace",
      [](const py::bytes& first) { return routesig::looks_like_jsonl_trace(std::string_view(first)); },
      py::arg("first_bytes"));
}
