#include "jsonl_reader.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "jsonl_lines.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/io/file.hpp"

namespace routesig::io {

namespace {

constexpr std::int64_t kMaxInt = std::numeric_limits<std::int32_t>::max();

[[nodiscard]] bool read_bool(JsonCursor& json) {
  if (json.literal("true")) return true;
  if (json.literal("false")) return false;
  json.fail(sentence("expected true or false, found ", json.next()));
}

/// The kind of a line: at its front, where every writer puts it, else wherever it stands.
[[nodiscard]] std::string kind_of(std::string_view line, JsonCursor json) {
  for (const std::string_view front : {R"({"kind":")", R"({"kind": ")"})
    if (line.starts_with(front))
      if (const std::size_t close = line.find_first_of("\"\\", front.size());
          close != std::string_view::npos && line[close] == '"')
        return std::string(line.substr(front.size(), close - front.size()));
  std::string kind;
  const auto ignore = [&json] { json.skip_value(); };
  json.object([&](const std::string& name) { name == "kind" ? void(kind = json.string()) : ignore(); });
  return kind;
}

}  // namespace

JsonlReader::JsonlReader(std::string_view bytes, std::string name, const ReadOptions& options, const Warn& warn,
                         bool keep_lines)
    : bytes_(bytes),
      name_(std::move(name)),
      options_(options),
      warn_(warn),
      keep_lines_(keep_lines),
      ignored_(name_, warn),
      budget_(bytes.size()) {}

void JsonlReader::fail(std::string_view problem) const { throw FormatError({.path = name_, .line = line_}, problem); }

void JsonlReader::read() {
  std::size_t begin = 0;
  while (begin < bytes_.size()) {
    const std::size_t end = bytes_.find('\n', begin);
    if (end == std::string_view::npos) break;
    interruption_point();
    ++line_;
    with_line(name_, line_, [&] { read_line(bytes_.substr(begin, end - begin), begin); });
    begin = end + 1;
  }
  if (!complete_) return cut_off(bytes_.size() - begin);
  if (begin == bytes_.size()) return;
  ++line_;
  fail("expected nothing after the end line");
}

void JsonlReader::read_line(std::string_view line, std::size_t begin) {
  if (complete_) fail("expected nothing after the end line");
  if (line.empty()) fail("expected a JSON object, got an empty line");
  if (line.back() == '\r') fail("expected lines that end in LF, got CR LF (was the file converted on its way?)");
  if (line_ == 1 && line.starts_with("\xEF\xBB\xBF")) fail("expected a JSON object, got a byte order mark before it");
  const bool fast = line.starts_with(R"({"kind":"token")");
  const std::string kind = fast ? "token" : kind_of(line, cursor(line, begin));
  if ((kind == "header") != (line_ == 1))
    fail(line_ == 1 ? sentence("expected a header of kind ", shown("header"), ", got a line of kind ", shown(kind))
                    : std::string("expected one header, got a second"));
  std::size_t owner = kHeader;
  if (fast || kind == "token") {
    read_token(line, begin);
    owner = last_prompt_;
  } else if (kind == "header") {
    read_header(line);
  } else if (kind == "prompt") {
    read_prompt(line, begin);
    owner = prompts_.size() - 1;
  } else if (kind == "prompt_end") {
    read_prompt_end(line, begin);
    owner = last_prompt_;
  } else if (kind == "end") {
    return read_end(line, begin);
  } else {
    fail(sentence("expected a line of kind header, prompt, token, prompt_end or end, got ", shown(kind)));
  }
  crc_.update(bytes_.substr(begin, line.size() + 1));
  if (keep_lines_) lines_.push_back({begin, begin + line.size() + 1, owner});
}

/// Before anything else is asked of the header: a newer version may have changed the rest.
void JsonlReader::check_version(std::string_view line) {
  JsonCursor json = cursor(line, 0);
  std::string format, writer;
  std::int64_t version = 0;
  read_object(json, "header",
              {{"kind", [&] { json.skip_value(); }},
               {"format", [&] { format = json.string(); }, true},
               {"version", [&] { version = read_integer(json, 1); }, true},
               {"routesig", [&] { writer = json.string(); }}},
              nullptr, line_);
  json.finish();
  if (format != kFormatName) fail(sentence("expected format ", shown(kFormatName), ", got ", shown(format)));
  if (version > kFormatVersion)
    fail(sentence("expected version ", kFormatVersion, " of the trace format, got ", version,
                  ": read it with routesig ", writer.empty() ? "of a newer version" : shown(writer) + " or newer"));
}

void JsonlReader::read_header(std::string_view line) {
  check_version(line);
  JsonCursor json = cursor(line, 0);
  const auto skip = [&] { json.skip_value(); };
  RoutingInfo& info = *info_;
  const auto model = [&] {
    read_object(json, "header's model",
                {{"name", [&] { info.model_name = json.string(); }},
                 {"sha256", [&] { info.model_sha256 = json.string(); }},
                 {"dtype", [&] { info.model_dtype = json.string(); }}},
                &ignored_, line_);
  };
  const auto tokenizer = [&] {
    read_object(json, "header's tokenizer", {{"sha256", [&] { info.tokenizer_sha256 = json.string(); }}}, &ignored_,
                line_);
  };
  const auto prompts = [&] {
    read_object(json, "header's prompts",
                {{"count", [&] { run_.prompts = static_cast<std::uint64_t>(read_integer(json, 0)); }},
                 {"sha256", [&] { run_.prompts_sha256 = json.string(); }}},
                &ignored_, line_);
  };
  const auto settings = [&] {
    if (json.peek() != '{') json.fail(sentence("expected an object, found ", json.next()));
    run_.settings = read_raw(json, line);
  };
  read_object(json, "header",
              {{"kind", skip},
               {"format", skip},
               {"version", skip},
               {"routing", [&] { read_routing(json); }, true},
               {"model", model},
               {"tokenizer", tokenizer},
               {"settings", settings},
               {"prompts", prompts},
               {"command", [&] { run_.command = json.string(); }},
               {"routesig", skip}},
              &ignored_, line_);
  try {
    info.check();
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  }
  token_line_.emplace(static_cast<std::size_t>(info.layers), static_cast<std::size_t>(info.top_k));
}

void JsonlReader::read_routing(JsonCursor& json) {
  RoutingInfo& info = *info_;
  const auto number = [&](int& out) {
    return [&json, &out] { out = static_cast<int>(read_integer(json, 0, kMaxInt)); };
  };
  const auto model_layers = [&] {
    json.array([&] { info.model_layers.push_back(static_cast<int>(read_integer(json, 0, kMaxInt))); });
  };
  read_object(json, "header's routing",
              {{"layers", number(info.layers), true},
               {"experts", number(info.experts), true},
               {"top_k", number(info.top_k), true},
               {"model_layers", model_layers},
               {"ranked", [&] { info.ranked = read_bool(json); }},
               {"renormalized", [&] { info.renormalized = read_bool(json); }}},
              &ignored_, line_);
}

void JsonlReader::read_prompt(std::string_view line, std::size_t begin) {
  JsonCursor json = cursor(line, begin);
  SequenceInfo sequence;
  const auto text = [&](std::string& out) { return [&json, &out] { out = json.string(); }; };
  read_object(json, "prompt line",
              {{"kind", [&] { json.skip_value(); }},
               {"id", text(sequence.id), true},
               {"task", text(sequence.task)},
               {"text", text(sequence.text)},
               {"group", text(sequence.group)},
               {"fields", [&] { read_fields(json, line, sequence.fields); }},
               {"prompt_tokens", [&] { sequence.prompt_tokens = static_cast<int>(read_integer(json, 0, kMaxInt)); }}},
              &ignored_, line_);
  json.finish();
  if (!by_id_.emplace(sequence.id, prompts_.size()).second)
    fail(sentence("prompt id ", shown(sequence.id), " is given twice"));
  prompts_.push_back({std::move(sequence), {}, false});
}

void JsonlReader::read_fields(JsonCursor& json, std::string_view line, std::vector<Field>& fields) {
  std::set<std::string> names;
  json.object([&](const std::string& name) {
    if (!names.insert(name).second) json.fail(sentence("field ", shown(name), " is given twice"));
    fields.emplace_back(name, read_raw(json, line));
  });
}

std::size_t JsonlReader::find_prompt(std::string_view id) {
  if (last_prompt_ < prompts_.size() && prompts_[last_prompt_].sequence.id == id) return last_prompt_;
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return kHeader;
  return last_prompt_ = found->second;
}

JsonlReader::Prompt& JsonlReader::open_prompt(std::string_view id) {
  const std::size_t found = find_prompt(id);
  if (found == kHeader) fail(sentence("prompt ", shown(id), " has no prompt line before this one"));
  if (prompts_[found].ended) fail(sentence("prompt ", shown(id), " has ended before this line"));
  return prompts_[found];
}

void JsonlReader::read_token(std::string_view line, std::size_t begin) {
  if (!budget_.spend(token_line_->ids(), sizeof(ExpertId)))
    fail(sentence("the routing announced so far takes more than ", ArrayBudget::kTimes, " times the file's size"));
  // An id that is found holds no escape and is valid: a name we know was checked in its prompt line.
  if (!token_line_->scan(line) || find_prompt(token_line_->token().prompt) == kHeader)
    token_line_->walk(cursor(line, begin), budget_, ignored_, line_);
  append_token(open_prompt(token_line_->token().prompt));
}

void JsonlReader::append_token(Prompt& prompt) {
  const ParsedToken& token = token_line_->token();
  TraceColumns& columns = prompt.columns;
  const auto all_or_none = [&](bool has, bool had, std::string_view what) {
    if (columns.positions.empty() || has == had) return;
    fail(sentence("expected ", what, " on every token line of prompt ", shown(prompt.sequence.id), " or on none, got ",
                  has ? "one with" : "one without"));
  };
  all_or_none(token.token.has_value(), !columns.token_ids.empty(), "a token id");
  all_or_none(!token.weights.empty(), !columns.weights.empty(), "weights");
  const std::size_t index = columns.positions.size();
  columns.positions.push_back(token.position);
  if (!options_.drop_invalid && index > 0 && token.position <= columns.positions[index - 1])
    fail(detail::repeated_position(columns.positions, index, "prompt " + shown(prompt.sequence.id)));
  columns.types.push_back(token.type);
  if (token.token) columns.token_ids.push_back(*token.token);
  columns.experts.insert(columns.experts.end(), token.experts.begin(), token.experts.end());
  columns.weights.insert(columns.weights.end(), token.weights.begin(), token.weights.end());
  ++tokens_;
}

void JsonlReader::read_prompt_end(std::string_view line, std::size_t begin) {
  JsonCursor json = cursor(line, begin);
  std::string id;
  std::int64_t tokens = 0, nonfinite = 0;
  std::vector<std::string> texts;
  bool has_texts = false;
  const auto read_texts = [&] {
    has_texts = true;
    json.array([&] { texts.push_back(json.string()); });
  };
  read_object(json, "prompt_end line",
              {{"kind", [&] { json.skip_value(); }},
               {"id", [&] { id = json.string(); }, true},
               {"tokens", [&] { tokens = read_integer(json, 0); }, true},
               {"token_texts", read_texts},
               {"nonfinite_rows", [&] { nonfinite = read_integer(json, 0); }}},
              &ignored_, line_);
  json.finish();
  Prompt& prompt = open_prompt(id);
  const std::size_t count = prompt.columns.positions.size();
  if (std::cmp_not_equal(tokens, count))
    fail(sentence("expected ", tokens, " tokens of prompt ", shown(id), " before this line, found ", count));
  if (has_texts && texts.size() != count) fail(sentence("token_texts: expected ", count, " texts, got ", texts.size()));
  prompt.columns.token_texts = std::move(texts);
  prompt.columns.nonfinite_rows = static_cast<std::uint64_t>(nonfinite);
  prompt.ended = true;
}

void JsonlReader::read_end(std::string_view line, std::size_t begin) {
  JsonCursor json = cursor(line, begin);
  std::int64_t prompts = 0, tokens = 0;
  std::string crc;
  read_object(json, "end line",
              {{"kind", [&] { json.skip_value(); }},
               {"prompts", [&] { prompts = read_integer(json, 0); }, true},
               {"tokens", [&] { tokens = read_integer(json, 0); }, true},
               {"crc32c", [&] { crc = json.string(); }, true}},
              &ignored_, line_);
  json.finish();
  const auto open = std::ranges::find(prompts_, false, &Prompt::ended);
  if (open != prompts_.end()) fail(sentence("prompt ", shown(open->sequence.id), " has no prompt_end line"));
  if (std::cmp_not_equal(prompts, prompts_.size()) || std::cmp_not_equal(tokens, tokens_))
    fail(sentence("expected ", prompts, " prompts and ", tokens, " tokens before this line, found ", prompts_.size(),
                  " and ", tokens_));
  if (crc != crc_.hex())
    fail(sentence("expected crc32c ", shown(crc), " of the bytes before this line, found \"", crc_.hex(),
                  "\": the file was changed or damaged"));
  complete_ = true;
}

/// The file ended without its end line.
void JsonlReader::cut_off(std::size_t torn_bytes) {
  if (line_ == 0)
    throw FormatError({.path = name_}, bytes_.empty() ? "expected a trace file, got an empty one"
                                                      : "expected a header line, got a file without one whole line");
  if (!options_.recover)
    throw FormatError({.path = name_, .line = line_ + (torn_bytes > 0 ? 1 : 0)},
                      "expected an end line, got the end of the file: the recording was cut off or is still running "
                      "(recover=True reads the whole lines)");
  if (!warn_) return;
  const auto unfinished = std::ranges::count(prompts_, false, &Prompt::ended);
  warn_(sentence(name_, ": recovered ", prompts_.size(), " prompts (", unfinished, " of them unfinished) with ",
                 tokens_, " tokens from a file that was cut off; ", torn_bytes, " bytes of a torn line were dropped"));
}

TraceSet JsonlReader::take() {
  std::vector<RoutingTrace> traces;
  traces.reserve(prompts_.size());
  for (Prompt& prompt : prompts_) {
    drop_repeated_positions(prompt.columns, info_->top_k, prompt.sequence);
    traces.emplace_back(info_, std::move(prompt.sequence), std::move(prompt.columns));
  }
  return TraceSet(std::move(traces), std::move(run_), complete_, info_);
}

}  // namespace routesig::io

namespace routesig {

TraceSet parse_jsonl(std::string_view bytes, const std::string& name, const ReadOptions& options, const Warn& warn) {
  if (io::looks_like_events(bytes)) return io::parse_events(bytes, name, options, warn);
  io::JsonlReader reader(bytes, name, options, warn);
  reader.read();
  return reader.take();
}

TraceSet read_jsonl(const std::filesystem::path& path, const ReadOptions& options, const Warn& warn) {
  return parse_jsonl(read_text(path), path.string(), options, warn);
}

bool looks_like_jsonl_trace(std::string_view first_bytes) noexcept {
  const std::string_view line = first_bytes.substr(0, first_bytes.find('\n'));
  const bool header = line.starts_with('{') && line.find("\"format\"") != std::string_view::npos &&
                      line.find("\"routesig-trace\"") != std::string_view::npos;
  return header || io::looks_like_events(first_bytes);
}

}  // namespace routesig
