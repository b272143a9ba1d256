#include "routesig/classify/classifier.hpp"

#include <cmath>
#include <map>

#include "routesig/error.hpp"

namespace routesig {

std::size_t num_classes(std::span<const int> labels) {
  return labels.empty() ? 0 : static_cast<std::size_t>(std::max(-1, std::ranges::max(labels)) + 1);
}

Proportion wilson_interval(std::size_t hits, std::size_t trials) {
  if (trials == 0) return {};
  const double z = 1.959963984540054, n = static_cast<double>(trials), p = static_cast<double>(hits) / n;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {.low = std::max(0.0, centre - half), .high = std::min(1.0, centre + half)};
}

double macro_f1(std::span<const std::size_t> confusion, std::size_t classes) {
  double sum = 0.0, occurring = 0.0;
  for (std::size_t k = 0; k < classes; ++k) {
    std::size_t row = 0, column = 0;
    for (std::size_t other = 0; other < classes; ++other) {
      row += confusion[k * classes + other];
      column += confusion[other * classes + k];
    }
    if (row + column == 0) continue;
    sum += 2.0 * static_cast<double>(confusion[k * classes + k]) / static_cast<double>(row + column);
    occurring += 1.0;
  }
  return occurring > 0.0 ? sum / occurring : 0.0;
}

ClassificationScores scores(std::span<const int> labels, std::span<const int> predictions, std::span<const int> fold) {
  if (predictions.size() != labels.size() || fold.size() != labels.size())
    throw invalid_argument("scores: expected ", labels.size(), " predictions and folds, got ", predictions.size(),
                           " and ", fold.size());
  const std::size_t classes = std::max(num_classes(labels), num_classes(predictions));
  ClassificationScores out;
  out.confusion.assign(classes * classes, 0);
  std::map<int, std::vector<std::size_t>> by_fold;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || predictions[i] < 0 || fold[i] < 0) continue;
    const std::size_t cell = static_cast<std::size_t>(labels[i]) * classes + static_cast<std::size_t>(predictions[i]);
    ++out.confusion[cell];
    auto& table = by_fold[fold[i]];
    table.resize(classes * classes, 0);
    ++table[cell];
  }
  const auto on_diagonal = [&](const std::vector<std::size_t>& table) {
    std::size_t sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += table[k * classes + k];
    return sum;
  };
  const auto all = [](const std::vector<std::size_t>& table) {
    std::size_t sum = 0;
    for (const std::size_t cell : table) sum += cell;
    return sum;
  };
  out.hits = on_diagonal(out.confusion);
  out.trials = all(out.confusion);
  out.wilson = wilson_interval(out.hits, out.trials);
  out.macro_f1 = macro_f1(out.confusion, classes);
  for (std::size_t k = 0; k < classes && out.trials > 0; ++k) {
    std::size_t row = 0;
    for (std::size_t other = 0; other < classes; ++other) row += out.confusion[k * classes + other];
    out.chance = std::max(out.chance, static_cast<double>(row) / static_cast<double>(out.trials));
  }
  const auto folds = static_cast<double>(std::max<std::size_t>(1, by_fold.size()));
  for (const auto& [name, table] : by_fold) {
    out.fold_accuracy.push_back(static_cast<double>(on_diagonal(table)) / static_cast<double>(all(table)));
    out.accuracy += out.fold_accuracy.back() / folds;
    out.macro_f1_folds += macro_f1(table, classes) / folds;
  }
  double squares = 0.0;
  for (const double a : out.fold_accuracy) squares += (a - out.accuracy) * (a - out.accuracy);
  out.accuracy_sd = std::sqrt(squares / folds);
  return out;
}

bool groups_have_one_label(std::span<const int> labels, std::span<const int> groups) {
  if (labels.size() != groups.size())
    throw invalid_argument("classify: expected a group for each of ", labels.size(), " rows, got ", groups.size());
  std::map<int, int> label_of;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0 && label_of.emplace(groups[i], labels[i]).first->second != labels[i]) return false;
  return true;
}

std::vector<int> permuted_labels(std::span<const int> labels, std::span<const int> groups, Random& random,
                                 std::span<const int> sources) {
  if (!groups.empty() && !groups_have_one_label(labels, groups))
    throw invalid_argument("permuted_labels: expected groups of one label each");
  if (!sources.empty() && sources.size() != labels.size())
    throw invalid_argument("permuted_labels: expected sources of ", labels.size(), " rows, got ", sources.size());
  const auto unit_of = [&](std::size_t i) { return groups.empty() ? static_cast<int>(i) : groups[i]; };
  std::map<int, std::map<int, int>> label_of;  // source -> unit -> its label
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) label_of[sources.empty() ? 0 : sources[i]][unit_of(i)] = labels[i];
  std::vector<int> out(labels.begin(), labels.end()), known;
  for (auto& [source, units] : label_of) {
    known.clear();
    for (const auto& [unit, label] : units) known.push_back(label);
    random.shuffle(std::span(known));
    std::size_t next = 0;
    for (auto& [unit, label] : units) label = known[next++];
  }
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) out[i] = label_of[sources.empty() ? 0 : sources[i]][unit_of(i)];
  return out;
}

}  // namespace routesig
