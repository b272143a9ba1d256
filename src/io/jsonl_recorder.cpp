#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <unordered_set>
#include <utility>

#include "crc32c.hpp"
#include "jsonl_lines.hpp"
#include "jsonl_resume.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/io/file.hpp"
#include "routesig/io/jsonl.hpp"
#include "routesig/recorder_state.hpp"

namespace routesig {
namespace io {

/// A trace file while it is written: counts what its end line tells.
class TraceFile {
 public:
  TraceFile(const std::filesystem::path& path, OutputFile::Existing existing) : out_(path, existing) {}

  [[nodiscard]] OutputFile& out() noexcept { return out_; }

  void write(std::string_view lines) {
    out_.write(lines);
    crc_.update(lines);
  }
  void write_token(std::string_view line) {
    write(line);
    ++tokens_;
  }
  void write_prompt_end(std::string_view line) {
    write(line);
    ++prompts_;
  }
  /// Goes on after what an earlier recording left.
  void restart(const io::Earlier& earlier) {
    out_.restart(earlier.bytes);
    crc_.update(earlier.bytes);
    tokens_ = earlier.tokens;
    prompts_ = earlier.ids.size();
  }
  void finish() {
    out_.write(io::end_line(prompts_, tokens_, crc_.hex()));
    out_.commit();
  }

 private:
  OutputFile out_;
  io::Crc32c crc_;
  std::uint64_t prompts_ = 0;
  std::uint64_t tokens_ = 0;
};

}  // namespace io

namespace {

void check_vocabulary(const std::vector<std::string>& vocabulary) {
  std::string scratch;
  for (const std::string& text : vocabulary) {
    scratch.clear();
    io::append_string(scratch, text, "vocabulary");
  }
}

}  // namespace

class JsonlRecorder::Writer {
 public:
  Writer(std::filesystem::path path, JsonlOptions options)
      : path_(write_target(std::move(path))),
        options_(std::move(options)),
        state_("JsonlRecorder", {.weights = options_.weights}) {
    if (options_.vocabulary != nullptr) check_vocabulary(*options_.vocabulary);
    (void)io::header_line({.layers = 1, .experts = 1, .top_k = 1}, options_.run);  // refuses broken settings now
    if (options_.resume) find_earlier();
    if (finished_ || file_) return;
    file_.emplace(path_, options_.overwrite ? OutputFile::Existing::replace : OutputFile::Existing::refuse);
  }

  [[nodiscard]] bool weights() const noexcept { return options_.weights; }
  [[nodiscard]] const std::vector<std::string>& kept() const noexcept { return kept_; }

  void begin(const RoutingInfo& info) {
    check_open();
    if (state_.open_sequences() > 0)
      throw std::logic_error(sentence("JsonlRecorder: expected end before another begin (", state_.open_sequences(),
                                      " prompts are open and in the file)"));
    info.check();
    if (info_ && *info_ != info)
      throw invalid_argument("JsonlRecorder: expected one model in a file, got another (use a new recorder and file)");
    if (!info_) {
      if (earlier_) io::check_same_model(earlier_path_, earlier_->info, info);
      start(info);
    }
    state_.begin(info);
  }

  void begin_sequence(int sequence, const SequenceInfo& info) {
    check_open();
    if (finished_)
      throw invalid_argument("JsonlRecorder: ", path_.string(), " is finished and has no prompt ", shown(info.id),
                             "; record it to another file");
    if (ids_.contains(info.id))
      throw invalid_argument("JsonlRecorder: prompt id ", shown(info.id), " is already in the file",
                             kept_.empty() ? "" : "; leave out the prompts that kept() names");
    std::string line;
    io::append_prompt_line(line, info);
    state_.begin_sequence(sequence, info, Recorded{.id = info.id, .prefix = io::token_prefix(info.id)});
    file_->write(line);
    ids_.insert(info.id);
  }

  void step(const StepRows& rows) {
    write_rows();
    state_.step(rows);
    rows_.clear();
    for (std::size_t i = 0; i < rows.rows(); ++i)
      rows_.push_back(
          {rows.position[i], rows.type[i], rows.token.empty() ? std::nullopt : std::optional(rows.token[i])});
    experts_.assign(rows.rows() * row_size(), kNoExpert);
    if (options_.weights) weights_.assign(rows.rows() * row_size(), std::nanf(""));
  }

  void layer(const LayerRouting& routing) {
    state_.layer(routing);
    const auto k = static_cast<std::size_t>(info_->top_k);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::size_t to = i * row_size() + static_cast<std::size_t>(routing.layer) * k;
      if (state_.heard(i) == RowHeard::known) std::copy_n(routing.experts.data() + i * k, k, experts_.data() + to);
      state_.rows()[i]->nonfinite_rows += state_.heard(i) == RowHeard::nonfinite ? 1U : 0U;
      if (options_.weights) std::copy_n(routing.weights.data() + i * k, k, weights_.data() + to);
    }
    if (state_.step_is_whole()) write_rows();
  }

  void end_sequence(int sequence) {
    write_rows();
    write_end(state_.end_sequence(sequence));
  }

  void end() {
    write_rows();
    state_.end([&](int, const Recorded& recorded) { write_end(recorded); });
    flush();
  }

  void flush() {
    check_open();
    if (info_ && file_) file_->out().flush();
  }

  void sync() {
    check_open();
    if (info_ && file_) file_->out().sync();
  }

  void close() {
    if (closed_) return;
    if (state_.open_sequences() > 0)
      throw std::logic_error(
          sentence("JsonlRecorder: close with ", state_.open_sequences(), " sequences still open; end them first"));
    if (file_) {
      // Every prompt may have been whole before: then no model runs, and nothing begins.
      if (!info_ && !earlier_) throw std::logic_error("JsonlRecorder: close before begin: there is nothing to write");
      if (!info_) start(earlier_->info);
      file_->finish();
    }
    closed_ = true;
  }

 private:
  struct Recorded {
    std::string id;
    std::string prefix;  // of its token lines
    std::uint64_t tokens = 0;
    std::uint64_t nonfinite_rows = 0;
    std::vector<std::int32_t> token_ids{};  // where there is a vocabulary
  };
  struct Row {
    std::int32_t position;
    TokenType type;
    std::optional<std::int32_t> token;
  };

  void check_open() const {
    if (closed_) throw std::logic_error("JsonlRecorder: the file is already closed");
  }

  [[nodiscard]] std::size_t row_size() const noexcept {
    return static_cast<std::size_t>(info_->layers) * static_cast<std::size_t>(info_->top_k);
  }

  void find_earlier() {
    std::filesystem::path partial = path_;
    partial += ".partial";
    if (std::filesystem::exists(partial)) file_.emplace(path_, OutputFile::Existing::keep);  // locked before it is read
    if (has_whole(partial)) {
      adopt(partial, {.recover = true});
    } else if (std::filesystem::exists(path_)) {
      if (file_) file_->out().discard();
      file_.reset();
      adopt(path_, {});
      finished_ = true;
    }
  }

  [[nodiscard]] bool has_whole(const std::filesystem::path& partial) const {
    return file_ && io::has_whole_line(partial);
  }

  void adopt(const std::filesystem::path& path, const ReadOptions& how) {
    earlier_path_ = path.string();
    earlier_ = io::read_earlier(path, how);
    io::check_same_run(earlier_path_, earlier_->run, options_.run);
    io::check_same_weights(earlier_path_, *earlier_, options_.weights);
    kept_ = earlier_->ids;
    ids_.insert(kept_.begin(), kept_.end());
  }

  void start(const RoutingInfo& info) {
    if (file_ && earlier_)
      file_->restart(*earlier_);
    else if (file_)
      file_->write(io::header_line(info, options_.run));
    if (earlier_) earlier_->bytes = {};
    info_ = info;
    line_.emplace(info);
  }

  /// Writes the tokens of the step under way, which it ends; layers that were not heard stay unknown.
  void write_rows() {
    check_open();
    for (std::size_t i = 0; i < state_.rows().size(); ++i) {
      const Row& row = rows_[i];
      Recorded& recorded = *state_.rows()[i];
      const auto part = [&](const auto& values) { return std::span(values).subspan(i * row_size(), row_size()); };
      io::TokenRow token{.position = row.position, .type = row.type, .token = row.token, .experts = part(experts_)};
      if (options_.weights) token.weights = part(weights_);
      file_->write_token(line_->format(recorded.prefix, token));
      ++recorded.tokens;
      if (options_.vocabulary != nullptr && row.token) recorded.token_ids.push_back(*row.token);
    }
    state_.end_step();
  }

  void write_end(const Recorded& recorded) {
    std::vector<std::string> texts;
    for (const std::int32_t id : recorded.token_ids) {
      const bool known = id >= 0 && std::cmp_less(id, options_.vocabulary->size());
      texts.push_back(known ? (*options_.vocabulary)[static_cast<std::size_t>(id)] : std::string());
    }
    std::string line;
    io::append_prompt_end_line(line, recorded.id, recorded.tokens, recorded.nonfinite_rows, texts);
    file_->write_prompt_end(line);
  }

  std::filesystem::path path_;
  JsonlOptions options_;
  std::optional<io::TraceFile> file_;   // none where a finished file is resumed
  std::optional<io::Earlier> earlier_;  // what resume found
  std::string earlier_path_;
  bool finished_ = false;
  bool closed_ = false;
  std::vector<std::string> kept_;
  std::optional<RoutingInfo> info_;  // from the first begin on
  std::optional<io::TokenLine> line_;
  std::unordered_set<std::string> ids_;  // every prompt in the file
  RecorderState<Recorded> state_;
  std::vector<Row> rows_;          // of the step under way
  std::vector<ExpertId> experts_;  // [rows, layers, top_k]
  std::vector<float> weights_;     // [rows, layers, top_k]
};

JsonlRecorder::JsonlRecorder(std::filesystem::path path, JsonlOptions options)
    : writer_(std::make_unique<Writer>(std::move(path), std::move(options))) {}
JsonlRecorder::~JsonlRecorder() = default;

RoutingNeeds JsonlRecorder::needs() const { return {.weights = writer_->weights()}; }
void JsonlRecorder::begin(const RoutingInfo& info) { writer_->begin(info); }
void JsonlRecorder::begin_sequence(int sequence, const SequenceInfo& info) { writer_->begin_sequence(sequence, info); }
void JsonlRecorder::step(const StepRows& rows) { writer_->step(rows); }
void JsonlRecorder::layer(const LayerRouting& routing) { writer_->layer(routing); }
void JsonlRecorder::end_sequence(int sequence) { writer_->end_sequence(sequence); }
void JsonlRecorder::end() { writer_->end(); }
void JsonlRecorder::flush() { writer_->flush(); }
void JsonlRecorder::sync() { writer_->sync(); }
void JsonlRecorder::close() { writer_->close(); }
const std::vector<std::string>& JsonlRecorder::kept() const noexcept { return writer_->kept(); }

namespace {

void write_trace(io::TraceFile& file, io::TokenLine& line, const RoutingTrace& trace) {
  const TraceColumns& c = trace.columns();
  const auto size = static_cast<std::size_t>(trace.layers()) * static_cast<std::size_t>(trace.top_k());
  std::string text;
  io::append_prompt_line(text, trace.sequence());
  file.write(text);
  const std::string prefix = io::token_prefix(trace.sequence().id);
  for (std::size_t i = 0; i < c.positions.size(); ++i) {
    io::TokenRow row{
        .position = c.positions[i], .type = c.types[i], .experts = std::span(c.experts).subspan(i * size, size)};
    if (!c.token_ids.empty()) row.token = c.token_ids[i];
    if (!c.weights.empty()) row.weights = std::span(c.weights).subspan(i * size, size);
    file.write_token(line.format(prefix, row));
  }
  text.clear();
  io::append_prompt_end_line(text, trace.sequence().id, c.positions.size(), c.nonfinite_rows, c.token_texts);
  file.write_prompt_end(text);
}

void check_savable(const TraceSet& traces) {
  if (traces.info() == nullptr)
    throw invalid_argument("save_jsonl: expected traces, got none (and nothing says what routing they would have)");
  std::unordered_set<std::string_view> ids;
  for (const RoutingTrace& trace : traces) {
    if (trace.info() != *traces.info())
      throw invalid_argument("save_jsonl: expected traces of one model, got another's (trace ",
                             shown(trace.sequence().id), "); save them to a file each");
    if (!ids.insert(trace.sequence().id).second)
      throw invalid_argument("save_jsonl: prompt id ", shown(trace.sequence().id), " is given twice");
  }
}

}  // namespace

void save_jsonl(const TraceSet& traces, const std::filesystem::path& path, const Warn& warn) {
  check_savable(traces);
  const auto with_logits =
      std::ranges::count_if(traces, [](const RoutingTrace& t) { return !t.columns().router_logits.empty(); });
  if (with_logits > 0 && warn)
    warn(sentence(path.string(), ": router logits live in memory only; those of ", with_logits,
                  with_logits == 1 ? " trace" : " traces", " are left out of the file"));
  if (!traces.rotated().empty() && warn)
    warn(sentence(path.string(), ": a file holds the traces of one router; those of ", traces.rotated().size(),
                  traces.rotated().size() == 1 ? " rotated router" : " rotated routers",
                  " are left out of it, and can be saved to a file each"));
  const std::string header = io::header_line(*traces.info(), traces.run());
  io::TraceFile file(path, OutputFile::Existing::refuse);
  try {
    file.write(header);
    io::TokenLine line(*traces.info());
    for (const RoutingTrace& trace : traces) {
      interruption_point();
      write_trace(file, line, trace);
    }
    file.finish();
  } catch (...) {
    file.out().discard();
    throw;
  }
}

std::string jsonl_head(const TraceSet& traces) {
  check_savable(traces);
  std::string lines = io::header_line(traces[0].info(), traces.run());
  for (const RoutingTrace& trace : traces) io::append_prompt_line(lines, trace.sequence());
  return lines;
}

}  // namespace routesig
