#include "jsonl_resume.hpp"

#include <fstream>
#include <map>

#include "jsonl_reader.hpp"
#include "routesig/io/file.hpp"

namespace routesig::io {
namespace {

[[noreturn]] void refuse(const std::string& path, std::string_view what, std::string_view file, std::string_view ours) {
  throw invalid_argument(path, ": cannot resume: expected ", what, " ", file.empty() ? "not given" : file,
                         " as in the file, got ", ours.empty() ? "none" : ours,
                         " (resume needs the model, prompts and settings of the earlier run)");
}

template <typename Value>
void expect_same(const std::string& path, std::string_view what, const Value& file, const Value& ours) {
  if (file == ours) return;
  if constexpr (std::is_same_v<Value, std::string>)
    refuse(path, what, file.empty() ? "" : shown(file), ours.empty() ? "" : shown(ours));
  else
    refuse(path, what, sentence(file), sentence(ours));
}

/// The members of a JSON object as they are written.
[[nodiscard]] std::map<std::string, std::string> members(const std::string& object) {
  std::map<std::string, std::string> all;
  if (object.empty()) return all;
  JsonCursor json(object, "settings");
  json.object([&](const std::string& name) { all.insert_or_assign(name, read_raw(json, object)); });
  return all;
}

[[nodiscard]] std::string layer_list(const std::vector<int>& layers) {
  std::string out;
  for (const int layer : layers) {
    if (!out.empty()) out += ',';
    out += std::to_string(layer);
  }
  return out;
}

}  // namespace

Earlier read_earlier(const std::filesystem::path& path, const ReadOptions& options) {
  const std::string bytes = read_text(path);
  const Warn quiet;
  JsonlReader reader(bytes, path.string(), options, quiet, /*keep_lines=*/true);
  reader.read();
  Earlier found{.info = *reader.info(), .run = reader.run()};
  for (const JsonlReader::Prompt& prompt : reader.prompts()) {
    if (!prompt.ended) continue;
    found.ids.push_back(prompt.sequence.id);
    found.tokens += prompt.columns.positions.size();
    if (prompt.columns.positions.empty()) continue;
    (prompt.columns.weights.empty() ? found.any_without_weights : found.any_weights) = true;
  }
  for (const JsonlReader::Line& line : reader.lines())
    if (line.prompt == JsonlReader::kHeader || reader.prompts()[line.prompt].ended)
      found.bytes.append(bytes, line.begin, line.end - line.begin);
  return found;
}

bool has_whole_line(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  return static_cast<bool>(std::getline(file, line)) && !file.eof();
}

void check_same_run(const std::string& path, const RunInfo& file, const RunInfo& ours) {
  expect_same(path, "prompts.sha256", file.prompts_sha256, ours.prompts_sha256);
  const auto count = [](const std::optional<std::uint64_t>& n) { return n ? std::to_string(*n) : std::string(); };
  if (file.prompts != ours.prompts) refuse(path, "prompts.count", count(file.prompts), count(ours.prompts));
  std::map<std::string, std::string> theirs = members(file.settings), own = members(ours.settings);
  for (const auto& [name, value] : own) theirs.try_emplace(name);
  for (const auto& [name, value] : theirs)
    if (own[name] != value) refuse(path, "settings." + name, value, own[name]);
}

void check_same_model(const std::string& path, const RoutingInfo& file, const RoutingInfo& ours) {
  expect_same(path, "layers", file.layers, ours.layers);
  expect_same(path, "experts", file.experts, ours.experts);
  expect_same(path, "top_k", file.top_k, ours.top_k);
  // A hash says more than a name, which is often a path.
  if (file.model_sha256.empty() && ours.model_sha256.empty())
    expect_same(path, "model.name", file.model_name, ours.model_name);
  expect_same(path, "model.sha256", file.model_sha256, ours.model_sha256);
  expect_same(path, "model.dtype", file.model_dtype, ours.model_dtype);
  expect_same(path, "tokenizer.sha256", file.tokenizer_sha256, ours.tokenizer_sha256);
  expect_same(path, "model_layers", layer_list(file.model_layers), layer_list(ours.model_layers));
  const auto word = [](bool value) { return value ? "true" : "false"; };
  if (file.ranked != ours.ranked) refuse(path, "ranked", word(file.ranked), word(ours.ranked));
  if (file.renormalized != ours.renormalized)
    refuse(path, "renormalized", word(file.renormalized), word(ours.renormalized));
}

void check_same_weights(const std::string& path, const Earlier& file, bool ours) {
  if (ours && file.any_without_weights) refuse(path, "weights", "left out", "weights");
  if (!ours && file.any_weights) refuse(path, "weights", "recorded", "");
}

}  // namespace routesig::io
