// A checkpoint: one safetensors file, or an index and its shards.
#include "routesig/io/safetensors.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "json_cursor.hpp"
#include "routesig/io/file.hpp"

namespace routesig {

namespace fs = std::filesystem;

struct Safetensors::Data {
  fs::path path;
  std::vector<MappedFile> files;
  std::vector<Tensor> tensors;  // in the order of their names
  std::map<std::string, std::string> metadata;
};

namespace {

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::uint64_t kMaxIndex = 64'000'000;  // bytes; some 600,000 tensors

constexpr std::size_t kMaxShards = 5'000;

// Shards are named once and tensors refer to them: with short names an index takes about twice its text, else less.
struct WeightMap {
  using Place = std::pair<std::string, std::uint32_t>;  // tensor, shard
  std::vector<Place> places;                            // in the order of the tensors
  std::vector<std::string> shards;                      // in the order in which they are first named
  std::map<std::string, std::uint32_t> numbers;         // of the shards, in the order of their names
};

std::string name_of(const fs::path& path) { return path.filename().string(); }

// A name that cannot lead out of the folder it is looked up in.
bool is_plain_shard_name(std::string_view name) {
  return name.ends_with(".safetensors") && name.front() != '.' && std::ranges::none_of(name, [](char c) {
           return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20U;
         });
}

WeightMap read_weight_map(std::string_view text, const std::string& path) {
  WeightMap map;
  constexpr std::size_t kShortestEntry = 22;  // bytes of "":"a.safetensors", and the like: a bound for one allocation
  map.places.reserve(
      std::min<std::size_t>(static_cast<std::size_t>(std::ranges::count(text, ':')), text.size() / kShortestEntry + 1));
  bool found = false;
  JsonCursor json(text, path);
  json.object([&](const std::string& field) {
    if (field != "weight_map") return json.skip_value();
    if (std::exchange(found, true)) json.fail("\"weight_map\" stands twice in the index");
    json.object([&](std::string tensor) {
      const std::size_t at = json.position();
      std::string shard = json.string();
      if (!is_plain_shard_name(shard))
        json.fail_at(at,
                     sentence("weight_map: expected the plain name of a .safetensors file in the same folder, found ",
                              shown(shard)));
      const auto [known, added] = map.numbers.try_emplace(std::move(shard), map.shards.size());
      if (added) map.shards.push_back(known->first);
      if (map.shards.size() > kMaxShards) json.fail_at(at, sentence("weight_map: more than ", kMaxShards, " shards"));
      map.places.emplace_back(std::move(tensor), known->second);
    });
  });
  json.finish();
  if (map.places.empty())
    throw FormatError({.path = path}, "expected a \"weight_map\" that names the shard of each tensor, found none");
  std::ranges::sort(map.places);
  const auto twice = std::ranges::adjacent_find(map.places, {}, &WeightMap::Place::first);
  if (twice != map.places.end())
    throw FormatError({.path = path}, sentence("weight_map: the tensor ", shown(twice->first, 120), " stands twice"));
  return map;
}

// Why a folder without safetensors weights cannot be read.
[[noreturn]] void refuse_folder(const fs::path& folder) {
  constexpr std::string_view kPickles[] = {".bin", ".pt", ".pth", ".ckpt", ".pkl"};
  std::string pickle;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = name_of(entry.path());
    if (std::ranges::find(kPickles, entry.path().extension().string()) != std::end(kPickles) &&
        (pickle.empty() || file < pickle))
      pickle = file;
  }
  if (pickle.empty())
    throw FormatError({.path = folder.string()}, sentence("expected ", kSingle, " or ", kIndex, ", found neither"));
  throw FormatError({.path = folder.string()},
                    sentence("expected ", kSingle, " or ", kIndex, ", found ", shown(pickle),
                             ": pickled weights can run code and are not read; convert them in Python with "
                             "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)"));
}

// The file to open: of a folder the one that transformers would, its weights before their index; else the path itself.
fs::path resolve(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  for (const std::string_view name : {kSingle, kIndex})
    if (fs::exists(path / name, ignored)) return path / name;
  refuse_folder(path);
}

}  // namespace

Safetensors Safetensors::open(const fs::path& folder_or_file) {
  const auto data = std::make_shared<Data>();
  data->path = resolve(folder_or_file);
  const std::string extension = data->path.extension().string();
  if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt" || extension == ".pkl")
    throw FormatError({.path = data->path.string()},
                      "pickled weights can run code and are not read; save them as safetensors first");

  const auto add_file = [&](const fs::path& path) {
    const MappedFile& file = data->files.emplace_back(path);
    SafetensorsHeader header = parse_safetensors_header(file.bytes(), path.string());
    if (data->files.size() == 1) data->metadata = std::move(header.metadata);
    return std::move(header.tensors);
  };
  if (extension != ".json") {
    data->tensors = add_file(data->path);
    return Safetensors(data);
  }

  const std::string index_name = data->path.string();
  const MappedFile index(data->path);
  if (index.bytes().size() > kMaxIndex)
    throw FormatError({.path = index_name},
                      sentence("expected an index of at most ", kMaxIndex, " bytes, found ", index.bytes().size()));
  const WeightMap map = read_weight_map(index.text(), index_name);
  for (const auto& [shard, number] : map.numbers) {
    const fs::path path = data->path.parent_path() / shard;
    for (Tensor& tensor : add_file(path)) {
      const auto entry = std::ranges::lower_bound(map.places, tensor.name, {}, &WeightMap::Place::first);
      if (entry == map.places.end() || entry->first != tensor.name)
        throw FormatError(
            {.path = path.string()},
            sentence("tensor ", shown(tensor.name, 120), " is not in the weight_map of ", shown(name_of(data->path))));
      if (entry->second != number)
        throw FormatError({.path = path.string()},
                          sentence("tensor ", shown(tensor.name, 120), " is here, and the index places it in ",
                                   shown(map.shards[entry->second])));
      data->tensors.push_back(std::move(tensor));
    }
  }
  std::ranges::sort(data->tensors, {}, &Tensor::name);
  // Every tensor found is in the map, once: where the numbers differ, the first difference is a missing one.
  for (std::size_t i = 0; i < map.places.size(); ++i)
    if (const auto& [tensor, shard] = map.places[i]; i >= data->tensors.size() || data->tensors[i].name != tensor)
      throw FormatError({.path = index_name}, sentence("expected tensor ", shown(tensor, 120), " in ",
                                                       shown(map.shards[shard]), ", it is not there"));
  return Safetensors(data);
}

const Tensor* Safetensors::find(std::string_view name) const noexcept {
  const auto found = std::ranges::lower_bound(data_->tensors, name, {}, &Tensor::name);
  return found != data_->tensors.end() && found->name == name ? &*found : nullptr;
}

const Tensor& Safetensors::at(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  throw FormatError({.path = path().string()}, sentence("expected tensor ", shown(name, 120), ", it is not among the ",
                                                        tensors().size(), " tensors"));
}

std::span<const Tensor> Safetensors::tensors() const noexcept { return data_->tensors; }

const std::map<std::string, std::string>& Safetensors::metadata() const noexcept { return data_->metadata; }

const fs::path& Safetensors::path() const noexcept { return data_->path; }

void Safetensors::read(const Tensor& tensor, std::span<std::byte> out) const {
  if (out.size() != tensor.data.size())
    throw invalid_argument("read: expected ", tensor.data.size(), " bytes for tensor ", shown(tensor.name, 120),
                           ", got ", out.size());
  const auto holds = [&](const MappedFile& file) {
    const std::less_equal<> not_after;
    const std::span<const std::byte> all = file.bytes();
    return not_after(all.data(), tensor.data.data()) &&
           not_after(tensor.data.data() + tensor.data.size(), all.data() + all.size());
  };
  if (out.empty()) return;
  const auto file = std::ranges::find_if(data_->files, holds);
  if (file == data_->files.end())
    throw invalid_argument("read: expected a tensor of ", path().string(), ", got ", shown(tensor.name, 120),
                           " of another checkpoint");
  file->read(static_cast<std::uint64_t>(tensor.data.data() - file->bytes().data()), out);
}

}  // namespace routesig
