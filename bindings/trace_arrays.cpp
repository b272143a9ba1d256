#include "trace_arrays.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "arrays.hpp"

using routesig::ExpertId;
using routesig::RoutingTrace;
using routesig::TokenType;
using routesig::TraceColumns;

namespace {

// [layers, tokens, width] over memory that lies [tokens, layers, width].
template <typename T>
py::array_t<T> layer_view(std::span<const T> data, const RoutingTrace& trace, int width, const py::object& owner) {
  const py::ssize_t layers = trace.layers(), tokens = trace.tokens();
  return view(data, {layers, tokens, width}, {width, layers * width, 1}, owner);
}

template <typename T>
py::array_t<T> token_view(std::span<const T> data, const py::object& owner) {
  return view(data, {static_cast<py::ssize_t>(data.size())}, {1}, owner);
}

// None where nothing was recorded.
template <typename T, typename Make>
OptionalArray<T> recorded(const std::vector<T>& data, const RoutingTrace& trace, const Make& make) {
  const bool absent = data.empty() && trace.tokens() > 0;
  return py::reinterpret_borrow<OptionalArray<T>>(absent ? py::object(py::none()) : py::object(make(std::span(data))));
}

int whole_number(const py::object& value, const char* name) {
  using namespace pybind11::literals;
  const py::object check = py::module_::import("routesig._options").attr("whole_number");
  return check("from_arrays", name, value, "least"_a = 0, "most"_a = std::numeric_limits<int>::max()).cast<int>();
}

// An array of what is given. Of a masked one NumPy would take what lies under the mask.
py::array as_array(const py::object& object, const char* what) {
  const py::module_ numpy = py::module_::import("numpy");
  if (numpy.attr("ma").attr("is_masked")(object).cast<bool>())
    throw routesig::invalid_argument("from_arrays: expected ", what, " without masked entries, got a masked array; ",
                                     "fill it (experts: -1 where unknown)");
  return numpy.attr("asarray")(object);
}

// `array` with its axes in the order tokens, layers, top_k; `axes` names the order it has.
py::array token_major(const py::array& array, const std::string& axes, const char* what) {
  if (array.ndim() != 3)
    throw routesig::invalid_argument("from_arrays: expected ", what, " with 3 axes (layers, tokens, top_k), got shape ",
                                     shape_text(array));
  return array.attr("transpose")(axes.find('t'), axes.find('l'), axes.find('k'));
}

template <typename T>
std::vector<ExpertId> ids_as(const py::array& array, const routesig::RoutingInfo& info, const std::string& id) {
  return routesig::expert_ids(items<T>(py::array_t<T, py::array::c_style>(array)), info, id);
}

std::vector<ExpertId> ids_of(const py::array& array, const routesig::RoutingInfo& info, const std::string& id) {
  const bool is_signed = array.dtype().kind() == 'i';
  if (!is_signed && array.dtype().kind() != 'u')
    throw routesig::invalid_argument("from_arrays: expected integer expert ids, got ",
                                     std::string(py::str(array.dtype())));
  switch (array.dtype().itemsize()) {
    case 1:
      return is_signed ? ids_as<std::int8_t>(array, info, id) : ids_as<std::uint8_t>(array, info, id);
    case 2:
      return is_signed ? ids_as<std::int16_t>(array, info, id) : ids_as<std::uint16_t>(array, info, id);
    case 4:
      return is_signed ? ids_as<std::int32_t>(array, info, id) : ids_as<std::uint32_t>(array, info, id);
    default:
      return is_signed ? ids_as<std::int64_t>(array, info, id) : ids_as<std::uint64_t>(array, info, id);
  }
}

// What to do where a column is one longer than the rows: engines return what they sampled last too.
std::string never_fed(std::string argument) {
  std::ranges::replace(argument, ' ', '_');
  return ": the last sampled token is never fed to the model, so leave it out (" + argument + "[:-1])";
}

// One integer a token; token ids and positions are int32 from 0 on.
std::vector<std::int32_t> token_column(const py::object& object, const char* what, std::size_t tokens) {
  const py::array array = as_array(object, what);
  const char kind = array.dtype().kind();
  if (array.ndim() != 1 || (kind != 'i' && kind != 'u' && array.size() > 0))
    throw routesig::invalid_argument("from_arrays: expected ", what, " as integers [tokens], got ",
                                     std::string(py::str(array.dtype())), " with ", array.ndim(), " axes");
  const py::array_t<std::int64_t, py::array::c_style | py::array::forcecast> wide(array);
  std::vector<std::int32_t> out;
  for (py::ssize_t i = 0; i < wide.size(); ++i) {
    if (wide.at(i) < 0 || !std::in_range<std::int32_t>(wide.at(i)))
      throw routesig::invalid_argument("from_arrays: expected ", what, " from 0 to 2147483647, got ", wide.at(i),
                                       " for token ", i);
    out.push_back(static_cast<std::int32_t>(wide.at(i)));
  }
  if (out.size() != tokens)
    throw routesig::invalid_argument("from_arrays: expected ", tokens, " ", what, " for ", tokens, " rows, got ",
                                     out.size(), out.size() == tokens + 1 ? never_fed(what) : "");
  return out;
}

template <typename T>
py::bytes raw(const std::vector<T>& data) {
  return {reinterpret_cast<const char*>(data.data()), data.size() * sizeof(T)};
}

template <typename T>
std::vector<T> from_raw(const py::handle& state) {
  const auto bytes = state.cast<std::string_view>();
  if (bytes.size() % sizeof(T) != 0) throw routesig::invalid_argument("trace: pickled array has a broken length");
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<routesig::Field> fields_as_json(const py::dict& fields, const std::string& who) {
  const py::module_ text = py::module_::import("routesig._text");
  std::vector<routesig::Field> out;
  for (const auto& [name, value] : fields) {
    if (text.attr("is_missing")(value).cast<bool>()) continue;
    const auto key = text.attr("needed_text")(name, who, "the name of a field").cast<std::string>();
    out.push_back({key, text.attr("json_text")(value, who, "field " + routesig::shown(key)).cast<std::string>()});
  }
  return out;
}

// NaN equals NaN: two recordings of the same thing are the same.
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(
      a, b, [](float x, float y) { return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y); });
}

}  // namespace

py::array_t<std::uint16_t> experts_view(const RoutingTrace& t, const py::object& owner) {
  return layer_view(std::span(t.columns().experts), t, t.top_k(), owner);
}
OptionalArray<float> weights_view(const RoutingTrace& t, const py::object& owner) {
  return recorded(t.columns().weights, t, [&](auto data) { return layer_view(data, t, t.top_k(), owner); });
}
OptionalArray<float> router_logits_view(const RoutingTrace& t, const py::object& owner) {
  return recorded(t.columns().router_logits, t,
                  [&](auto data) { return layer_view(data, t, t.info().experts, owner); });
}
OptionalArray<std::int32_t> token_ids_view(const RoutingTrace& t, const py::object& owner) {
  return recorded(t.columns().token_ids, t, [&](auto data) { return token_view(data, owner); });
}
py::array_t<std::int32_t> positions_view(const RoutingTrace& t, const py::object& owner) {
  return token_view(std::span(t.columns().positions), owner);
}
py::array_t<std::uint8_t> token_types_view(const RoutingTrace& t, const py::object& owner) {
  const auto& types = t.columns().types;
  return token_view(std::span(reinterpret_cast<const std::uint8_t*>(types.data()), types.size()), owner);
}

py::array_t<bool> valid_rows(const RoutingTrace& t) {
  py::array_t<bool> out({static_cast<py::ssize_t>(t.layers()), static_cast<py::ssize_t>(t.tokens())});
  for (int l = 0; l < t.layers(); ++l)
    for (int i = 0; i < t.tokens(); ++i)
      out.mutable_at(l, i) = std::ranges::find(t.experts(l, i), routesig::kNoExpert) == t.experts(l, i).end();
  return out;
}

RoutingTrace trace_from_arrays(const py::object& experts, const py::object& num_experts, const py::object& weights,
                               const py::object& token_ids, const py::object& positions,
                               const py::object& prompt_tokens, const OptionalText& id, const OptionalText& task,
                               const OptionalText& text, const OptionalText& group,
                               const std::optional<py::typing::Dict<py::str, py::object>>& fields,
                               const std::string& axes, bool ranked, bool drop_invalid) {
  std::string sorted = axes;
  std::ranges::sort(sorted);
  if (sorted != "klt")
    throw routesig::invalid_argument("from_arrays: expected axes to name l, t and k once each, as in \"ltk\", got ",
                                     routesig::shown(axes));
  routesig::SequenceInfo sequence{.id = text_of(id, "trace", "id")};
  const std::string who = "trace " + routesig::shown(sequence.id);
  sequence.task = text_of(task, who, "task");
  sequence.text = text_of(text, who, "text");
  sequence.group = text_of(group, who, "group");
  if (fields) sequence.fields = fields_as_json(*fields, who);
  const py::array given_experts = as_array(experts, "experts");
  const py::array ids = token_major(given_experts, axes, "experts");
  const routesig::RoutingInfo info{.layers = static_cast<int>(ids.shape(1)),
                                   .experts = whole_number(num_experts, "num_experts"),
                                   .top_k = static_cast<int>(ids.shape(2)),
                                   .ranked = ranked};
  info.check();
  const auto tokens = static_cast<std::size_t>(ids.shape(0));
  TraceColumns columns{.experts = ids_of(ids, info, sequence.id)};
  if (!weights.is_none()) {
    const py::array given = as_array(weights, "weights");
    const std::string expected = shape_text(given_experts), got = shape_text(given);
    if (got != expected)
      throw routesig::invalid_argument("from_arrays: expected weights of the shape of experts, ", expected, ", got ",
                                       got);
    const py::array major = token_major(given, axes, "weights");
    if (std::string_view("fiub").find(given.dtype().kind()) == std::string_view::npos)
      throw routesig::invalid_argument("from_arrays: expected weights that are real numbers, got ",
                                       std::string(py::str(given.dtype())));
    const py::array_t<float, py::array::c_style | py::array::forcecast> floats(major);
    columns.weights.assign(floats.data(), floats.data() + floats.size());
  }
  if (!token_ids.is_none()) columns.token_ids = token_column(token_ids, "token ids", tokens);
  if (!positions.is_none()) columns.positions = token_column(positions, "positions", tokens);
  const int prompt = prompt_tokens.is_none() ? static_cast<int>(tokens) : whole_number(prompt_tokens, "prompt_tokens");
  if (prompt < 0 || std::cmp_greater(prompt, tokens))
    throw routesig::invalid_argument("from_arrays: expected prompt_tokens from 0 to ", tokens, ", got ", prompt,
                                     ": there are ", tokens, " rows, one for each token that was fed to the model");
  for (std::size_t i = 0; i < tokens; ++i) {
    if (positions.is_none()) columns.positions.push_back(static_cast<std::int32_t>(i));
    columns.types.push_back(std::cmp_less(i, prompt) ? TokenType::prompt : TokenType::generation);
  }
  sequence.prompt_tokens = prompt;
  if (drop_invalid) drop_repeated_positions(columns, info.top_k, sequence);
  return {std::make_shared<const routesig::RoutingInfo>(info), std::move(sequence), std::move(columns)};
}

py::tuple trace_state(const RoutingTrace& t) {
  const auto& [id, task, text, group, prompt_tokens, fields] = t.sequence();
  const TraceColumns& c = t.columns();
  return py::make_tuple(py::make_tuple(id, task, text, group, prompt_tokens, fields), raw(c.experts), raw(c.weights),
                        raw(c.router_logits), raw(c.token_ids), raw(c.positions), raw(c.types), c.token_texts,
                        c.nonfinite_rows, c.dropped_tokens);
}

RoutingTrace trace_from_state(std::shared_ptr<const routesig::RoutingInfo> info, const py::tuple& state) {
  const auto s = state[0].cast<py::tuple>();
  return {std::move(info),
          {s[0].cast<std::string>(), s[1].cast<std::string>(), s[2].cast<std::string>(), s[3].cast<std::string>(),
           s[4].cast<int>(), s[5].cast<std::vector<routesig::Field>>()},
          {.experts = from_raw<ExpertId>(state[1]),
           .weights = from_raw<float>(state[2]),
           .router_logits = from_raw<float>(state[3]),
           .token_ids = from_raw<std::int32_t>(state[4]),
           .positions = from_raw<std::int32_t>(state[5]),
           .types = from_raw<TokenType>(state[6]),
           .token_texts = state[7].cast<std::vector<std::string>>(),
           .nonfinite_rows = state[8].cast<std::uint64_t>(),
           .dropped_tokens = state[9].cast<std::uint64_t>()}};
}

bool same_trace(const RoutingTrace& a, const RoutingTrace& b) {
  const TraceColumns &x = a.columns(), &y = b.columns();
  return a.info() == b.info() && a.sequence() == b.sequence() && x.experts == y.experts &&
         same_bits(x.weights, y.weights) && same_bits(x.router_logits, y.router_logits) && x.token_ids == y.token_ids &&
         x.positions == y.positions && x.types == y.types && x.token_texts == y.token_texts &&
         x.nonfinite_rows == y.nonfinite_rows;
}
