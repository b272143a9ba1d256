#include "jsonl_lines.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "json_cursor.hpp"
#include "routesig/version.hpp"

namespace routesig::io {
namespace {

void append_escape(std::string& out, unsigned char byte) {
  constexpr std::string_view kPlain = "\"\\\b\f\n\r\t", kNames = "\"\\bfnrt", kHex = "0123456789abcdef";
  out += '\\';
  if (const std::size_t i = kPlain.find(static_cast<char>(byte)); i != std::string_view::npos) {
    out += kNames[i];
  } else {
    out += "u00";
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
}

template <typename Integer>
void append_integer(std::string& out, Integer value) {
  std::array<char, 24> digits{};
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

/// Throws where `json` is not one line of JSON that stays within the depth limit `outer` levels down.
void check_value(const std::string& json, int outer, std::string_view what, bool must_be_object = false) {
  const auto refuse = [&](std::string_view problem) {
    throw invalid_argument(what, ": expected one line of JSON", must_be_object ? " holding an object" : "", ", got ",
                           json.size(), " bytes (", problem, ")");
  };
  if (json.find_first_of("\r\n") != std::string::npos) refuse("it has a line break");
  try {
    JsonCursor cursor(json, "value");
    if (must_be_object && cursor.peek() != '{') refuse("it is not an object");
    cursor.skip_value();
    cursor.finish();
    const auto levels = static_cast<std::size_t>(outer);
    const std::string wrapped = std::string(levels, '[') + json + std::string(levels, ']');
    JsonCursor(wrapped, "value").skip_value();
  } catch (const FormatError& error) {
    refuse(error.what());
  }
}

/// `,"name":{"a":...}` of the texts that are not empty; nothing where all are.
void append_known(std::string& out, std::string_view name,
                  std::initializer_list<std::pair<std::string_view, std::string_view>> texts) {
  const std::size_t begin = out.size();
  bool any = false;
  for (const auto& [key, text] : texts) {
    if (text.empty()) continue;
    out += any ? ",\"" : sentence(",\"", name, "\":{\"");
    out += key;
    out += "\":";
    append_string(out, text, sentence("header: ", name, ".", key));
    any = true;
  }
  if (any)
    out += '}';
  else
    out.resize(begin);
}

void append_optional(std::string& out, std::string_view key, std::string_view text, std::string_view what) {
  if (text.empty()) return;
  out += key;
  append_string(out, text, what);
}

/// Small numbers as text, so that an expert id costs one copy of four bytes.
struct Digits {
  std::array<char, 4> text;  // ends with a comma
  std::uint32_t length;
};
constexpr std::array<Digits, 1000> kDigits = [] {
  std::array<Digits, 1000> all{};
  for (unsigned n = 0; n < 1000; ++n) {
    Digits& d = all[n];
    if (n >= 100) d.text[d.length++] = static_cast<char>('0' + n / 100);
    if (n >= 10) d.text[d.length++] = static_cast<char>('0' + n / 10 % 10);
    d.text[d.length++] = static_cast<char>('0' + n % 10);
    d.text[d.length++] = ',';
  }
  return all;
}();

[[nodiscard]] char* put(char* at, std::string_view text) noexcept {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

/// `id,`: an unknown id is -1. Writes up to 6 bytes.
[[nodiscard]] char* put_expert(char* at, ExpertId id) noexcept {
  if (id < kDigits.size()) {
    std::memcpy(at, kDigits[id].text.data(), 4);
    return at + kDigits[id].length;
  }
  at = id == kNoExpert ? put(at, "-1") : std::to_chars(at, at + 6, id).ptr;
  *at = ',';
  return at + 1;
}

/// `weight,`: the shortest decimal that reads back as this float32. Writes up to 17 bytes.
[[nodiscard]] char* put_weight(char* at, float weight) noexcept {
  at = std::isfinite(weight) ? std::to_chars(at, at + 16, weight).ptr : put(at, "null");
  *at = ',';
  return at + 1;
}

constexpr std::size_t kExpertBytes = 6;
constexpr std::size_t kWeightBytes = 17;
constexpr std::size_t kLayerBytes = 8;    // "null," or the brackets
constexpr std::size_t kFixedBytes = 128;  // names, position, type, token

}  // namespace

void append_string(std::string& out, std::string_view text, std::string_view what) {
  const std::size_t begin = out.size();
  bool ascii = true;
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    ascii = ascii && byte < 0x80U;
    if (byte < 0x20U || c == '"' || c == '\\')
      append_escape(out, byte);
    else
      out += c;
  }
  out += '"';
  if (ascii) return;
  try {
    JsonCursor(std::string_view(out).substr(begin), "").skip_value();
  } catch (const FormatError&) {
    throw invalid_argument(what, ": expected UTF-8");  // the text itself would spoil the message
  }
}

std::string header_line(const RoutingInfo& info, const RunInfo& run) {
  info.check();
  const auto boolean = [](bool value) { return value ? "true" : "false"; };
  std::string out =
      sentence(R"({"kind":"header","format":")", kFormatName, R"(","version":)", kFormatVersion,
               R"(,"routing":{"layers":)", info.layers, R"(,"experts":)", info.experts, R"(,"top_k":)", info.top_k);
  for (std::size_t i = 0; i < info.model_layers.size(); ++i) {
    out += i == 0 ? R"(,"model_layers":[)" : ",";
    append_integer(out, info.model_layers[i]);
  }
  if (!info.model_layers.empty()) out += ']';
  out += sentence(R"(,"ranked":)", boolean(info.ranked), R"(,"renormalized":)", boolean(info.renormalized), "}");
  append_known(out, "model", {{"name", info.model_name}, {"sha256", info.model_sha256}, {"dtype", info.model_dtype}});
  append_known(out, "tokenizer", {{"sha256", info.tokenizer_sha256}});
  if (!run.settings.empty()) {
    check_value(run.settings, 1, "header: settings", true);
    out += R"(,"settings":)" + run.settings;
  }
  if (run.prompts) {
    out += R"(,"prompts":{"count":)";
    append_integer(out, *run.prompts);
    append_optional(out, R"(,"sha256":)", run.prompts_sha256, "header: prompts.sha256");
    out += '}';
  } else {
    append_known(out, "prompts", {{"sha256", run.prompts_sha256}});
  }
  append_optional(out, R"(,"command":)", run.command, "header: command");
  return out + R"(,"routesig":")" + ROUTESIG_VERSION + "\"}\n";
}

void append_prompt_line(std::string& out, const SequenceInfo& sequence) {
  std::string line = R"({"kind":"prompt","id":)";
  append_string(line, sequence.id, "prompt id");
  const std::string what = "prompt " + shown(sequence.id);
  if (sequence.prompt_tokens < 0)
    throw invalid_argument(what, ": expected prompt_tokens of 0 or more, got ", sequence.prompt_tokens);
  append_optional(line, R"(,"task":)", sequence.task, what + ": task");
  append_optional(line, R"(,"text":)", sequence.text, what + ": text");
  append_optional(line, R"(,"group":)", sequence.group, what + ": group");
  std::vector<std::string_view> names;
  for (const auto& [name, value] : sequence.fields) {
    line += names.empty() ? R"(,"fields":{)" : ",";
    append_string(line, name, what + ": the name of a field");
    check_value(value, 2, sentence(what, ": field ", shown(name)));
    line += ':';
    line += value;
    names.push_back(name);
  }
  if (!names.empty()) line += '}';
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    throw invalid_argument(what, ": field ", shown(*twice), " is given twice");
  line += R"(,"prompt_tokens":)";
  append_integer(line, sequence.prompt_tokens);
  out += line + "}\n";
}

std::string token_prefix(std::string_view id) {
  std::string out = R"({"kind":"token","prompt":)";
  append_string(out, id, "prompt id");
  return out + R"(,"position":)";
}

void append_prompt_end_line(std::string& out, std::string_view id, std::uint64_t tokens, std::uint64_t nonfinite_rows,
                            std::span<const std::string> token_texts) {
  out += R"({"kind":"prompt_end","id":)";
  append_string(out, id, "prompt id");
  out += R"(,"tokens":)";
  append_integer(out, tokens);
  for (std::size_t i = 0; i < token_texts.size(); ++i) {
    out += i == 0 ? R"(,"token_texts":[)" : ",";
    append_string(out, token_texts[i], "token text");
  }
  if (!token_texts.empty()) out += ']';
  if (nonfinite_rows > 0) {
    out += R"(,"nonfinite_rows":)";
    append_integer(out, nonfinite_rows);
  }
  out += "}\n";
}

std::string end_line(std::uint64_t prompts, std::uint64_t tokens, std::string_view crc32c) {
  return sentence(R"({"kind":"end","prompts":)", prompts, R"(,"tokens":)", tokens, R"(,"crc32c":")", crc32c, "\"}\n");
}

TokenLine::TokenLine(const RoutingInfo& info)
    : layers_(static_cast<std::size_t>(info.layers)), top_k_(static_cast<std::size_t>(info.top_k)) {}

std::string_view TokenLine::format(std::string_view prefix, const TokenRow& row) {
  if (row.position < 0) throw invalid_argument("token: expected a position of 0 or more, got ", row.position);
  const std::size_t room =
      prefix.size() + kFixedBytes + layers_ * (2 * kLayerBytes + top_k_ * (kExpertBytes + kWeightBytes));
  if (bytes_.size() < room) bytes_.resize(room);
  char* const begin = bytes_.data();
  char* at = put(begin, prefix);
  at = std::to_chars(at, at + 12, row.position).ptr;
  at = put(at, row.type == TokenType::prompt ? R"(,"type":"prompt")" : R"(,"type":"generation")");
  if (row.token) {
    at = put(at, R"(,"token":)");
    at = std::to_chars(at, at + 12, *row.token).ptr;
  }
  at = put(at, R"(,"experts":[)");
  for (std::size_t layer = 0; layer < layers_; ++layer) {
    const auto ids = row.experts.subspan(layer * top_k_, top_k_);
    if (ids[0] == kNoExpert && std::ranges::all_of(ids, [](ExpertId id) { return id == kNoExpert; })) {
      at = put(at, "null,");
      continue;
    }
    *at++ = '[';
    for (const ExpertId id : ids) at = put_expert(at, id);
    at = put(at - 1, "],");
  }
  at = put(at - 1, "]");
  if (!row.weights.empty()) {
    at = put(at, R"(,"weights":[)");
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      *at++ = '[';
      for (const float weight : row.weights.subspan(layer * top_k_, top_k_)) at = put_weight(at, weight);
      at = put(at - 1, "],");
    }
    at = put(at - 1, "]");
  }
  at = put(at, "}\n");
  return {begin, static_cast<std::size_t>(at - begin)};
}

}  // namespace routesig::io
