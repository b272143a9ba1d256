#include "json.hpp"

#include <charconv>
#include <cmath>
#include <utility>

#include "json_cursor.hpp"

namespace routesig {
namespace {

using nlohmann::json;

// Whole numbers stay exact within 64 bits; beyond them, and with a fraction or an exponent, they become doubles.
json number_value(JsonCursor& cursor) {
  const std::size_t begin = cursor.position();
  const JsonCursor::Number number = cursor.number();
  const std::string_view text = number.text;
  const bool integer = number.integer;
  const char* const last = text.data() + text.size();
  const auto read = [&](auto& value) { return std::from_chars(text.data(), last, value).ec == std::errc{}; };
  std::uint64_t natural = 0;
  std::int64_t negative = 0;
  double real = 0.0;
  if (integer && text.front() != '-' && read(natural)) return natural;
  if (integer && text.front() == '-' && read(negative)) return negative;
  if (!read(real)) cursor.fail_at(begin, sentence("a number beyond the range of a double: ", shown(text, 30)));
  return real;
}

json value(JsonCursor& cursor) {
  switch (cursor.peek()) {
    case '{': {
      json::object_t members;
      cursor.object([&](std::string name) {
        const auto [slot, added] = members.try_emplace(std::move(name));
        if (!added) cursor.fail(sentence("the name ", shown(slot->first), " stands twice in one object"));
        slot->second = value(cursor);
      });
      return members;
    }
    case '[': {
      json::array_t elements;
      cursor.array([&] { elements.push_back(value(cursor)); });
      return elements;
    }
    case '"':
      return cursor.string();
    case 't':
    case 'f':
    case 'n':
      if (cursor.literal("true")) return true;
      if (cursor.literal("false")) return false;
      if (cursor.literal("null")) return nullptr;
      cursor.fail("expected true, false or null");
    default:
      if (cursor.peek() != '-' && (cursor.peek() < '0' || cursor.peek() > '9'))
        cursor.fail(sentence("expected a value, found ", cursor.next()));
      return number_value(cursor);
  }
}

}  // namespace

json parse_json(std::string_view text, const std::string& path) {
  JsonCursor cursor(text, path);
  json tree = value(cursor);
  cursor.finish();
  return tree;
}

std::string describe(const json& value) {
  if (value.is_string()) return shown(value.get_ref<const std::string&>());
  if (value.is_array()) return sentence("an array of ", value.size());
  if (value.is_object()) return "an object";
  return value.dump();
}

JsonObject::JsonObject(const json& value, std::string path, std::string where)
    : object_(&value), path_(std::move(path)), where_(std::move(where)) {
  if (!value.is_object()) throw FormatError({.path = path_}, sentence("expected an object, found ", describe(value)));
}

const json* JsonObject::find(const char* field) const {
  const auto found = object_->find(field);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const json& JsonObject::at(const char* field, std::string_view expected) const {
  const auto found = object_->find(field);
  if (found == object_->end()) fail(field, sentence("expected ", expected, ", the field is missing"));
  return *found;
}

void JsonObject::fail(const char* field, std::string_view problem) const {
  throw FormatError({.path = path_}, sentence(where_, field, ": ", problem));
}

void JsonObject::fail_value(const char* field, std::string_view expected) const {
  fail(field, sentence("expected ", expected, ", found ", describe(at(field, expected))));
}

std::int64_t JsonObject::integer(const char* field, std::int64_t min, std::int64_t max) const {
  const std::string expected = sentence("a whole number from ", min, " to ", max);
  const json& found = at(field, expected);
  // is_number_integer() is true for both kinds; get<> converts silently, so each kind is compared as it is stored.
  const bool fits = found.is_number_unsigned()
                        ? std::cmp_less_equal(found.get_ref<const json::number_unsigned_t&>(), max) &&
                              std::cmp_greater_equal(found.get_ref<const json::number_unsigned_t&>(), min)
                        : found.is_number_integer() && found.get_ref<const json::number_integer_t&>() <= max &&
                              found.get_ref<const json::number_integer_t&>() >= min;
  if (!fits) fail_value(field, expected);
  return found.get<std::int64_t>();
}

double JsonObject::number(const char* field, double min, double max) const {
  const std::string expected = sentence("a number from ", min, " to ", max);
  const json& found = at(field, expected);
  if (!found.is_number() || !(found.get<double>() >= min && found.get<double>() <= max)) fail_value(field, expected);
  return found.get<double>();
}

bool JsonObject::boolean(const char* field) const {
  const json& found = at(field, "true or false");
  if (!found.is_boolean()) fail_value(field, "true or false");
  return found.get<bool>();
}

std::string JsonObject::text(const char* field) const {
  const json& found = at(field, "a string");
  if (!found.is_string()) fail_value(field, "a string");
  return found.get<std::string>();
}

JsonObject JsonObject::object(const char* field) const {
  const json& found = at(field, "an object");
  if (!found.is_object()) fail_value(field, "an object");
  return {found, path_, sentence(where_, field, '.')};
}

}  // namespace routesig
