#include "jsonl_object.hpp"

#include <algorithm>
#include <charconv>

namespace routesig::io {

void IgnoredFields::note(std::string_view where, const std::string& field, std::uint64_t line) {
  if (!warn_ || seen_.size() > kNamed || !seen_.insert(sentence(where, '\n', field)).second) return;
  const std::string others = seen_.size() > kNamed ? ", and others after it" : "";
  warn_(sentence(name_, ", line ", line, ": field ", shown(field), " of a ", where, " is not known and was ignored",
                 others));
}

void read_object(JsonCursor& json, std::string_view where, std::initializer_list<KnownField> fields,
                 IgnoredFields* ignored, std::uint64_t line) {
  std::uint32_t seen = 0;
  json.object([&](const std::string& name) {
    const auto field = std::ranges::find(fields, name, &KnownField::name);
    if (field == fields.end()) {
      json.skip_value();
      if (ignored != nullptr) ignored->note(where, name, line);
      return;
    }
    const std::uint32_t bit = 1U << static_cast<unsigned>(field - fields.begin());
    if ((seen & bit) != 0) json.fail(sentence(where, ": field ", shown(name), " is given twice"));
    seen |= bit;
    try {
      field->take();
    } catch (const FormatError& error) {
      const std::size_t prefix = error.where().text().size() + 2;
      throw FormatError(error.where(), sentence(name, ": ", std::string_view(error.what()).substr(prefix)));
    }
  });
  for (std::uint32_t bit = 1; const KnownField& field : fields) {
    if (field.required && (seen & bit) == 0) json.fail(sentence(where, ": expected a field ", shown(field.name)));
    bit <<= 1;
  }
}

std::int64_t read_integer(JsonCursor& json, std::int64_t min, std::int64_t max) {
  const std::size_t begin = json.position();
  const JsonCursor::Number found = json.number();
  const char* const end = found.text.data() + found.text.size();
  std::int64_t value = 0;
  if (!found.integer || std::from_chars(found.text.data(), end, value).ec != std::errc{} || value < min || value > max)
    json.fail_at(begin,
                 sentence("expected a whole number from ", min, " to ", max, ", found ", found.text.substr(0, 30)));
  return value;
}

std::string read_raw(JsonCursor& json, std::string_view text) {
  const std::size_t begin = json.position();
  json.skip_value();
  std::string_view raw = text.substr(begin, json.position() - begin);
  while (raw.back() == ' ' || raw.back() == '\t' || raw.back() == '\r') raw.remove_suffix(1);
  return std::string(raw);
}

}  // namespace routesig::io
