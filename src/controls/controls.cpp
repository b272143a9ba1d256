#include "routesig/controls/controls.hpp"

#include <algorithm>
#include <string>

#include "routesig/error.hpp"
#include "routesig/similarity.hpp"

namespace routesig {
namespace detail {
namespace {

/// Throws unless `control` holds the prompts and tokens of `real`.
void check_forced(const TraceSet& real, const TraceSet& control, std::size_t number) {
  if (real.size() != control.size())
    throw invalid_argument("controls: expected the ", real.size(), " prompts of the real model, got ", control.size(),
                           " in control ", number);
  for (std::size_t i = 0; i < real.size(); ++i) {
    const RoutingTrace &a = real[i], &b = control[i];
    const std::string id = shown(a.sequence().id);
    if (a.layers() != b.layers())
      throw invalid_argument("controls: expected ", a.layers(), " layers, got ", b.layers(), " in control ", number);
    if (a.sequence().id != b.sequence().id || a.sequence().task != b.sequence().task)
      throw invalid_argument("controls: expected prompt ", id, " of task ", shown(a.sequence().task), ", got ",
                             shown(b.sequence().id), " of ", shown(b.sequence().task), " in control ", number);
    if (a.tokens() > 0 && (a.columns().token_ids.empty() || b.columns().token_ids.empty()))
      throw invalid_argument("controls: expected token ids, to see that the tokens are the same; trace ", id,
                             " has none");
    if (a.columns().token_ids != b.columns().token_ids || a.columns().types != b.columns().types)
      throw invalid_argument("controls: expected the tokens of the real model, got others for prompt ", id,
                             " in control ", number, " (record the control with the real traces as prompts)");
  }
}

/// Task numbers [prompts]: by name; -1 for prompts to leave out, which `out` lists.
[[nodiscard]] std::vector<int> tasks_compared(const TraceSet& real, std::span<const SignatureSet<double>> models,
                                              ControlComparison& out) {
  std::vector<std::string> names;
  for (const RoutingTrace& trace : real) names.push_back(trace.sequence().task);
  std::ranges::sort(names);
  std::vector<int> tasks;
  for (std::size_t i = 0; i < real.size(); ++i) {
    const std::string& name = real[i].sequence().task;
    const bool empty = std::ranges::any_of(models, [&](const SignatureSet<double>& set) {
      const std::size_t cells = set.values.size() / set.size();
      return std::ranges::all_of(std::span(set.values).subspan(i * cells, cells), [](double x) { return x == 0.0; });
    });
    if (name.empty() || empty) (name.empty() ? out.unlabelled : out.empty).push_back(i);
    const auto place = std::ranges::lower_bound(names, name) - names.begin();
    tasks.push_back(name.empty() || empty ? -1 : static_cast<int>(place));
  }
  return tasks;
}

/// The real model first, then the controls; absent where any is.
[[nodiscard]] std::optional<ControlValue> control_value(std::span<const std::optional<double>> models) {
  ControlValue out;
  for (const std::optional<double>& value : models) {
    if (!value) return std::nullopt;
    out.controls.push_back(*value);
  }
  out.real = out.controls.front();
  out.controls.erase(out.controls.begin());
  for (const double x : out.controls) out.mean += x / static_cast<double>(out.controls.size());
  const auto [low, high] = std::ranges::minmax(out.controls);
  out.low = low;
  out.high = high;
  out.gain = out.real - out.mean;
  out.p = upper_p_value(out.real, out.controls);
  return out;
}

}  // namespace
}  // namespace detail

ControlComparison compare_with_controls(const TraceSet& real, std::span<const TraceSet> controls,
                                        const SignatureOptions& options, bool groups) {
  if (controls.empty()) throw invalid_argument("controls: expected one control or more, got none");
  std::vector<SignatureSet<double>> models{signatures<double>(real, options)};
  for (std::size_t c = 0; c < controls.size(); ++c) {
    detail::check_forced(real, controls[c], c);
    models.push_back(signatures<double>(controls[c], options));
  }
  ControlComparison out;
  if (real.empty()) return out;
  const std::vector<int> tasks = detail::tasks_compared(real, models, out);
  const std::vector<int> group = groups ? group_numbers(real.traces()) : std::vector<int>();
  const auto layers = static_cast<std::size_t>(real[0].layers());
  std::vector<std::optional<double>> d;
  std::vector<std::vector<std::optional<double>>> differences(layers + 1);
  for (const SignatureSet<double>& model : models) {
    const Separation overall = separation(similarity_matrix(model), tasks, group);
    d.push_back(overall.cohens_d);
    differences[layers].push_back(overall.difference());
    const std::vector<double> similarities = similarity_layers(model);
    const std::size_t size = tasks.size() * tasks.size();
    for (std::size_t l = 0; l < layers; ++l)
      differences[l].push_back(separation(std::span(similarities).subspan(l * size, size), tasks, group).difference());
  }
  out.difference = detail::control_value(differences[layers]);
  out.cohens_d = detail::control_value(d);
  for (std::size_t l = 0; l < layers; ++l) out.layers.push_back(detail::control_value(differences[l]));
  return out;
}

}  // namespace routesig
