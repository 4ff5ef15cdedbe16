#include "ctrl/kube/list_reader.h"

#include "ctrl/kube/api_json.h"

namespace sluice::kube {

void ListReader::Restart() {
  list_ = {};
  continue_.clear();
  resource_version_.clear();
  pages_ = 0;
}

Status ListReader::AddPage(std::string& body, const Store& store) {
  if (++pages_ > limits_.pages) return InvalidError("a list of more than {} pages", limits_.pages);
  PadForJson(body);
  SL_ASSIGN_OR_RETURN(const JsonElement page, ParseJson(parser_, body, body));
  const auto metadata = FieldOf(page, "metadata");
  const auto items = FieldOf(page, "items");
  if (!metadata || !items) return InvalidError("not a list: it has no metadata or no items");
  const std::string version(StringOf(*metadata, "resourceVersion"));
  if (version.empty()) return InvalidError("a list without a resourceVersion");
  // An empty list of an older server may have null for its items.
  if (!items->is_array() && !items->is_null()) return InvalidError("not a list: its items are no array");
  if (items->is_array()) {
    const simdjson::dom::array objects = items->get_array().value_unsafe();
    for (const JsonElement item : objects) {
      SL_ASSIGN_OR_RETURN(const ObjectMeta meta, ReadMeta(item));
      list_.keys.insert(meta.key);
      if (list_.keys.size() > limits_.objects) return InvalidError("more than {} objects", limits_.objects);
      if (!store.Knows(meta)) list_.changed.push_back({meta, sink_.Convert(spec_, meta, item)});
    }
  }
  resource_version_ = version;
  continue_ = StringOf(*metadata, "continue");
  return OkStatus();
}

}  // namespace sluice::kube
