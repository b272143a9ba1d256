#include "jsonl_token.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace routesig::io {
namespace {

[[nodiscard]] unsigned digit(const char* at) noexcept { return static_cast<unsigned char>(*at) - unsigned{'0'}; }

/// Steps over `text` where it stands here.
[[nodiscard]] bool take(const char*& at, const char* end, std::string_view text) noexcept {
  if (static_cast<std::size_t>(end - at) < text.size() || std::memcmp(at, text.data(), text.size()) != 0) return false;
  at += text.size();
  return true;
}

/// A whole number of at most nine digits.
[[nodiscard]] bool take_integer(const char*& at, std::int32_t& out) noexcept {
  const char* const begin = at;
  std::int32_t value = 0;
  for (; digit(at) < 10 && at - begin < 9; ++at) value = 10 * value + static_cast<std::int32_t>(digit(at));
  const auto length = at - begin;
  if (length < 1 || digit(at) < 10 || (length > 1 && *begin == '0')) return false;
  out = value;
  return true;
}

[[nodiscard]] bool take_expert(const char*& at, ExpertId& out) noexcept {
  unsigned value = digit(at++);
  if (value > 9) return false;
  if (unsigned next = digit(at); next < 10) {
    if (value == 0) return false;
    const char* const begin = at;
    do {
      value = 10 * value + next;
      next = digit(++at);
    } while (next < 10 && at - begin < 5);
    if (value > kNoExpert) return false;
  }
  out = static_cast<ExpertId>(value);
  return true;
}

/// Eight digits at once, where there are eight. Little-endian: the first digit is the lowest byte.
[[nodiscard]] bool take_eight_digits(const char*& at, const char* end, std::uint64_t& value) noexcept {
  if constexpr (std::endian::native != std::endian::little) return false;
  if (end - at < 8) return false;
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  constexpr std::uint64_t kHigh = 0xF0F0'F0F0'F0F0'F0F0U, kZeros = 0x3030'3030'3030'3030U;
  if ((word & kHigh) != kZeros || ((word + 0x0606'0606'0606'0606U) & kHigh) != kZeros) return false;
  word -= kZeros;
  word = word * 10 + (word >> 8);  // pairs, then fours, then all eight
  word = ((word & 0x0000'00FF'0000'00FFU) * 0x000F'4240'0000'0064U +
          ((word >> 16) & 0x0000'00FF'0000'00FFU) * 0x0000'2710'0000'0001U) >>
         32;
  value = value * 100'000'000U + (word & 0xFFFF'FFFFU);
  at += 8;
  return true;
}

constexpr std::array<double, 16> kPowers = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                            1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/// `0.` and at most 15 digits: numerator and power of ten are exact in a double, so their quotient is the correctly
/// rounded double. Rounding that once more to float32 is right unless it lies exactly between two of them.
[[nodiscard]] bool take_fraction(const char*& at, const char* end, float& out) noexcept {
  if (at[0] != '0' || at[1] != '.') return false;
  const char* p = at + 2;
  const char* const first = p;
  std::uint64_t value = 0;
  (void)take_eight_digits(p, end, value);
  for (; digit(p) < 10 && p - first < 16; ++p) value = 10 * value + digit(p);
  const auto digits = static_cast<std::size_t>(p - first);
  if (digits < 1 || digits > 15 || (*p != ',' && *p != ']')) return false;
  const double quotient = static_cast<double>(value) / kPowers[digits];
  constexpr std::uint64_t kBelowFloat = (std::uint64_t{1} << 29) - 1;
  if ((std::bit_cast<std::uint64_t>(quotient) & kBelowFloat) == std::uint64_t{1} << 28) return false;
  out = static_cast<float>(quotient);
  at = p;
  return true;
}

/// Where a JSON number that begins here ends; `at` itself where there is none.
[[nodiscard]] const char* number_end(const char* at) noexcept {
  const char* p = at + (*at == '-');
  if (digit(p) > 9 || (*p == '0' && digit(p + 1) < 10)) return at;
  const auto digits = [&p] {
    const char* const begin = p;
    while (digit(p) < 10) ++p;
    return p != begin;
  };
  (void)digits();
  if (*p == '.' && (++p, !digits())) return at;
  if (*p == 'e' || *p == 'E') {
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (!digits()) return at;
  }
  return p;
}

[[nodiscard]] bool take_weight(const char*& at, const char* end, float& out) noexcept {
  if (take_fraction(at, end, out)) return true;
  if (take(at, end, "null")) {
    out = std::numeric_limits<float>::quiet_NaN();
    return true;
  }
  const char* const stop = number_end(at);
  if (stop == at) return false;
  const std::optional<float> value = parse_float({at, static_cast<std::size_t>(stop - at)});
  if (!value) return false;
  out = *value;
  at = stop;
  return true;
}

/// Reads [layers][top_k], one item by `take`; `null` in place of a layer stands for `missing` throughout.
template <typename Item, typename Take>
void walk_layers(JsonCursor& json, std::size_t layers, std::size_t top_k, Item missing, std::vector<Item>& out,
                 Take take) {
  std::size_t found = 0;
  out.clear();
  json.array([&] {
    if (++found > layers) return json.skip_value();  // counted for the message
    if (json.literal("null")) {
      out.insert(out.end(), top_k, missing);
      return;
    }
    std::size_t items = 0;
    const std::size_t begin = json.position();
    json.array([&] { ++items > top_k ? json.skip_value() : out.push_back(take()); });
    if (items != top_k)
      json.fail_at(begin, sentence("expected ", top_k, " values in layer ", found - 1, ", got ", items));
  });
  if (found != layers) json.fail(sentence("expected ", layers, " layers, got ", found));
}

}  // namespace

std::optional<float> parse_float(std::string_view number) noexcept {
  const char* const end = number.data() + number.size();
  float value = 0.0F;
  if (std::from_chars(number.data(), end, value).ec == std::errc{}) return value;
  // Out of range: either too large, or so small that zero is the nearest.
  double wide = 0.0;
  const bool negative = number.starts_with('-');
  const std::string_view magnitude = number.substr(negative ? 1 : 0);
  bool small = false;
  if (std::from_chars(number.data(), end, wide).ec == std::errc{}) {
    small = std::abs(wide) < 1.0;
  } else {
    const std::size_t exponent = magnitude.find_first_of("eE");
    small = exponent == std::string_view::npos ? magnitude[0] == '0'
                                               : exponent + 1 < magnitude.size() && magnitude[exponent + 1] == '-';
  }
  if (!small) return std::nullopt;
  return static_cast<float>(wide) == 0.0F ? (negative ? -0.0F : 0.0F) : static_cast<float>(wide);
}

bool TokenLineReader::scan(std::string_view line) {
  const char* at = line.data();
  end_ = at + line.size();
  if (!take(at, end_, R"({"kind":"token","prompt":")")) return false;
  const char* const id = at;
  while (*at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20U) ++at;
  token_.prompt = {id, static_cast<std::size_t>(at - id)};
  if (!take(at, end_, R"(","position":)") || !take_integer(at, token_.position)) return false;
  if (take(at, end_, R"(,"type":"prompt")"))
    token_.type = TokenType::prompt;
  else if (take(at, end_, R"(,"type":"generation")"))
    token_.type = TokenType::generation;
  else
    return false;
  token_.token.reset();
  if (take(at, end_, R"(,"token":)")) {
    std::int32_t token = 0;
    if (!take_integer(at, token)) return false;
    token_.token = token;
  }
  if (!take(at, end_, R"(,"experts":)") || !scan_experts(at)) return false;
  token_.weights.clear();
  if (take(at, end_, R"(,"weights":)") && !scan_weights(at)) return false;
  return *at == '}' && at + 1 == end_;
}

void TokenLineReader::walk(JsonCursor json, ArrayBudget& budget, IgnoredFields& ignored, std::uint64_t line) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int32_t>::min(),
                         kMax = std::numeric_limits<std::int32_t>::max();
  const auto integer = [&](std::int64_t min) { return static_cast<std::int32_t>(read_integer(json, min, kMax)); };
  const auto take_type = [&] {
    const std::size_t begin = json.position();
    const std::string found = json.string();
    if (found != name(TokenType::prompt) && found != name(TokenType::generation))
      json.fail_at(begin, sentence("expected \"prompt\" or \"generation\", got ", shown(found)));
    token_.type = found == name(TokenType::prompt) ? TokenType::prompt : TokenType::generation;
  };
  const auto take_id = [&] {
    return static_cast<ExpertId>(read_integer(json, -1, kNoExpert));
  };  // -1 wraps to kNoExpert
  const auto take_float = [&] {
    if (json.literal("null")) return std::numeric_limits<float>::quiet_NaN();
    const std::size_t begin = json.position();
    const std::string_view number = json.number().text;
    const std::optional<float> value = parse_float(number);
    if (!value) json.fail_at(begin, sentence("expected a float32, got ", number.substr(0, 30)));
    return *value;
  };
  const auto take_weights = [&] {
    if (!budget.spend(ids(), sizeof(float)))
      json.fail(
          sentence("the weights announced so far take more than ", ArrayBudget::kTimes, " times the file's size"));
    walk_layers(json, layers_, top_k_, std::numeric_limits<float>::quiet_NaN(), token_.weights, take_float);
  };
  token_.token.reset();
  token_.weights.clear();
  read_object(json, "token line",
              {{"kind", [&] { json.skip_value(); }},
               {"prompt", [&] { prompt_ = json.string(); }, true},
               {"position", [&] { token_.position = integer(0); }, true},
               {"type", take_type, true},
               {"token", [&] { token_.token = integer(kMin); }},
               {"experts", [&] { walk_layers(json, layers_, top_k_, kNoExpert, token_.experts, take_id); }, true},
               {"weights", take_weights}},
              &ignored, line);
  json.finish();
  token_.prompt = prompt_;
}

bool TokenLineReader::scan_experts(const char*& at) {
  token_.experts.resize(ids());
  ExpertId* out = token_.experts.data();
  for (std::size_t layer = 0; layer < layers_; ++layer) {
    if (*at++ != (layer == 0 ? '[' : ',')) return false;
    if (take(at, end_, "null")) {
      for (std::size_t i = 0; i < top_k_; ++i) *out++ = kNoExpert;
      continue;
    }
    for (std::size_t i = 0; i < top_k_; ++i)
      if (*at++ != (i == 0 ? '[' : ',') || !take_expert(at, *out++)) return false;
    if (*at++ != ']') return false;
  }
  return *at++ == ']';
}

bool TokenLineReader::scan_weights(const char*& at) {
  if (static_cast<std::size_t>(end_ - at) / 2 < ids()) return false;  // a weight takes two bytes or more
  token_.weights.resize(ids());
  float* out = token_.weights.data();
  for (std::size_t layer = 0; layer < layers_; ++layer) {
    if (*at++ != (layer == 0 ? '[' : ',')) return false;
    for (std::size_t i = 0; i < top_k_; ++i)
      if (*at++ != (i == 0 ? '[' : ',') || !take_weight(at, end_, *out++)) return false;
    if (*at++ != ']') return false;
  }
  return *at++ == ']';
}

}  // namespace routesig::io
