// The event form: one line per (token, layer, expert), without header or end. Lines come in any order, so that a token
// that was fed twice shows as a row with twice as many experts.
#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "jsonl_reader.hpp"
#include "routesig/interrupt.hpp"

namespace routesig::io {
namespace {

struct Event {
  std::uint32_t prompt;  // in the order of first appearance
  std::int32_t position;
  std::int32_t layer;
  ExpertId expert;
  TokenType type;

  [[nodiscard]] bool same_token(const Event& other) const noexcept {
    return prompt == other.prompt && position == other.position;
  }
  [[nodiscard]] bool same_row(const Event& other) const noexcept { return same_token(other) && layer == other.layer; }
};

class EventReader {
 public:
  EventReader(std::string_view bytes, std::string name, const ReadOptions& options, const Warn& warn)
      : bytes_(bytes), name_(std::move(name)), options_(options), warn_(warn), ignored_(name_, warn) {}

  [[nodiscard]] TraceSet read() {
    read_lines();
    last_ = events_.back();
    std::ranges::stable_sort(events_, [](const Event& a, const Event& b) {
      return std::tie(a.prompt, a.position, a.layer) < std::tie(b.prompt, b.position, b.layer);
    });
    infer_shape();
    std::vector<RoutingTrace> traces;
    for (std::size_t at = 0; at < events_.size();) {
      interruption_point();
      traces.push_back(read_trace(at));
    }
    return TraceSet(std::move(traces), {}, complete_);
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const { throw FormatError({.path = name_}, problem); }

  void read_lines() {
    for (std::size_t begin = 0; begin < bytes_.size();) {
      interruption_point();
      const std::size_t end = std::min(bytes_.find('\n', begin), bytes_.size());
      ++line_;
      try {
        with_line(name_, line_, [&] { read_event(bytes_.substr(begin, end - begin), begin); });
      } catch (const FormatError&) {
        if (!options_.recover || end < bytes_.size() || events_.empty()) throw;
        complete_ = false;
        if (warn_) warn_(sentence(name_, ": ", end - begin, " bytes of a torn line at the end were dropped"));
      }
      begin = end + 1;
    }
  }

  void read_event(std::string_view line, std::size_t begin) {
    JsonCursor json(line, name_, begin);
    constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max() - 1;
    std::string prompt, type;
    std::int64_t layer = 0, expert = 0, position = 0;
    read_object(json, "event",
                {{"prompt", [&] { prompt = json.string(); }, true},
                 {"layer", [&] { layer = read_integer(json, 0, kMax); }, true},
                 {"expert", [&] { expert = read_integer(json, -1, kNoExpert); }, true},
                 {"position", [&] { position = read_integer(json, 0, kMax); }, true},
                 {"type", [&] { type = json.string(); }, true}},
                &ignored_, line_);
    json.finish();
    if (type != name(TokenType::prompt) && type != name(TokenType::generation))
      json.fail(sentence("type: expected \"prompt\" or \"generation\", got ", shown(type)));
    const auto index = by_id_.try_emplace(prompt, static_cast<std::uint32_t>(ids_.size())).first->second;
    if (index == ids_.size()) ids_.push_back(prompt);
    events_.push_back({index, static_cast<std::int32_t>(position), static_cast<std::int32_t>(layer),
                       static_cast<ExpertId>(expert),
                       type == name(TokenType::prompt) ? TokenType::prompt : TokenType::generation});
  }

  /// How many events of one token and layer stand from `at` on.
  [[nodiscard]] std::size_t row_length(std::size_t at) const {
    std::size_t end = at + 1;
    while (end < events_.size() && events_[end].same_row(events_[at])) ++end;
    return end - at;
  }

  /// A file that was cut off may end within a row: `recover` drops that row.
  void drop_torn_row(std::size_t top_k) {
    if (!options_.recover) return;
    const auto same = [this](const Event& event) { return event.same_row(last_); };
    const auto begin = std::ranges::find_if(events_, same);
    const auto end = std::find_if_not(begin, events_.end(), same);
    if (std::cmp_greater_equal(end - begin, top_k)) return;
    if (warn_) warn_(sentence(name_, ": ", end - begin, " events of a torn row at the end were dropped"));
    events_.erase(begin, end);
    complete_ = false;
  }

  /// The length that most rows have; of two as frequent the smaller.
  [[nodiscard]] std::size_t common_row_length() const {
    std::map<std::size_t, std::size_t> rows;
    for (std::size_t at = 0, length = 0; at < events_.size(); at += length) ++rows[length = row_length(at)];
    return std::ranges::max_element(rows, {}, [](const auto& row) { return row.second; })->first;
  }

  /// Of rows that were told several times the last, as they follow each other in the file.
  void drop_repeated_rows(std::size_t top_k) {
    std::vector<Event> kept;
    kept.reserve(events_.size());
    dropped_.resize(ids_.size());
    std::size_t repeats = 0;  // of the present token, in the layer with the most
    for (std::size_t at = 0, length = 0; at < events_.size(); at += length) {
      length = row_length(at);
      const bool whole = length % top_k == 0;  // else it is refused
      const auto end = events_.begin() + static_cast<std::ptrdiff_t>(at + length);
      kept.insert(kept.end(), end - static_cast<std::ptrdiff_t>(whole ? top_k : length), end);
      if (at == 0 || !events_[at].same_token(events_[at - 1])) repeats = 0;
      const std::size_t times = whole ? length / top_k - 1 : 0;
      dropped_[events_[at].prompt] += std::max(times, repeats) - repeats;
      repeats = std::max(times, repeats);
    }
    events_ = std::move(kept);
  }

  void infer_shape() {
    int layers = 0, experts = 1;
    std::uint64_t tokens = 0;
    const std::size_t top_k = options_.drop_invalid ? common_row_length() : row_length(0);
    drop_torn_row(top_k);
    if (options_.drop_invalid) drop_repeated_rows(top_k);
    for (std::size_t i = 0; i < events_.size(); ++i) {
      const Event& event = events_[i];
      layers = std::max(layers, event.layer + 1);
      if (event.expert != kNoExpert) experts = std::max(experts, event.expert + 1);
      tokens += i == 0 || !event.same_token(events_[i - 1]) ? 1U : 0U;
      if (i > 0 && event.same_row(events_[i - 1])) continue;
      if (const std::size_t found = row_length(i); found != top_k)
        fail(sentence("expected ", top_k, " experts for every token and layer, got ", found, " (prompt ",
                      shown(ids_[event.prompt]), ", position ", event.position, ", layer ", event.layer, ")",
                      found % top_k == 0 ? ": a token that was fed twice? drop_invalid keeps the later one" : ""));
    }
    info_->layers = layers;
    info_->experts = options_.experts > 0 ? options_.experts : std::min(experts, kMaxExperts);
    info_->top_k = static_cast<int>(std::min<std::size_t>(top_k, kNoExpert));
    info_->ranked = false;
    try {
      info_->check();
    } catch (const std::invalid_argument& error) {
      fail(error.what());
    }
    if (!ArrayBudget(bytes_.size()).spend(tokens * static_cast<std::uint64_t>(layers), top_k * sizeof(ExpertId)))
      fail(sentence("expected events of most layers, got so few of ", layers,
                    " layers that the unknown rows take more than ", ArrayBudget::kTimes, " times the file's size"));
  }

  /// The trace whose events begin at `at`, which moves past them.
  [[nodiscard]] RoutingTrace read_trace(std::size_t& at) {
    const auto layers = static_cast<std::size_t>(info_->layers), k = static_cast<std::size_t>(info_->top_k);
    SequenceInfo sequence{.id = ids_[events_[at].prompt]};
    TraceColumns columns;
    if (!dropped_.empty()) columns.dropped_tokens = dropped_[events_[at].prompt];
    for (const std::uint32_t prompt = events_[at].prompt; at < events_.size() && events_[at].prompt == prompt;) {
      const Event first = events_[at];
      const std::size_t row = columns.positions.size() * layers;
      columns.positions.push_back(first.position);
      columns.types.push_back(first.type);
      sequence.prompt_tokens += first.type == TokenType::prompt ? 1 : 0;
      columns.experts.resize((row + layers) * k, kNoExpert);
      while (at < events_.size() && events_[at].same_token(first)) {
        const std::size_t to = (row + static_cast<std::size_t>(events_[at].layer)) * k;
        for (std::size_t i = 0; i < k; ++i, ++at) {
          if (events_[at].type != first.type)
            fail(sentence("expected one type for a token, got both (prompt ", shown(sequence.id), ", position ",
                          first.position, ")"));
          columns.experts[to + i] = events_[at].expert;
        }
      }
    }
    return {info_, std::move(sequence), std::move(columns)};
  }

  std::string_view bytes_;
  std::string name_;
  ReadOptions options_;
  const Warn& warn_;
  IgnoredFields ignored_;
  std::uint64_t line_ = 0;
  std::vector<Event> events_;
  Event last_{};                        // of the file
  std::vector<std::uint64_t> dropped_;  // tokens, of each prompt
  std::vector<std::string> ids_;
  std::unordered_map<std::string, std::uint32_t> by_id_;
  std::shared_ptr<RoutingInfo> info_ = std::make_shared<RoutingInfo>();
  bool complete_ = true;  // as far as anybody can tell: the form has no last line
};

}  // namespace

bool looks_like_events(std::string_view bytes) noexcept {
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  const auto has = [line](std::string_view name) { return line.find(name) != std::string_view::npos; };
  return line.starts_with('{') && has("\"prompt\"") && has("\"layer\"") && has("\"expert\"") && !has("\"kind\"");
}

TraceSet parse_events(std::string_view bytes, const std::string& name, const ReadOptions& options, const Warn& warn) {
  return EventReader(bytes, name, options, warn).read();
}

}  // namespace routesig::io
