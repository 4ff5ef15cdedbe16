// A value inside a resource together with where it stands, so that every error names file, line, object and path:
//   SL_RETURN_IF_ERROR(spec.AllowOnly({"netns", "ips"}));
//   SL_RETURN_IF_ERROR(spec.Read("netns", workload.netns, [](const Field& f) { return f.String(); }));
// As in the Kubernetes API, a field that is null counts as absent. Refers to its Document and tree: keep both alive.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/yaml.h"

namespace sluice::policy {

// What is wrong at one place.
struct Problem {
  Place place;          // line 0: of the text as a whole
  std::string subject;  // "NetworkPolicy shop/db", or "document 2" while that is not known; empty: of the text itself
  std::string object;   // "NetworkPolicy/db"; empty: not known
  std::string what;     // printable: "spec.ingress[0].ports[0].endPort: 79 is below port 80"

  std::string ToString(std::string_view origin) const;  // "origin:LINE: subject: what"
};

// One document, and what its fields found wrong so far.
struct Document {
  std::string_view origin;
  std::string subject = {};  // these two as in Problem
  std::string object = {};
  std::string default_namespace = "default";
  mutable std::vector<Problem> problems = {};
};

class Field {
 public:
  Field(const Document& document, const YamlNode& root) : Field(document, root, "", root.place) {}

  const YamlNode& node() const { return *node_; }
  const Document& document() const { return *document_; }
  const Place& place() const { return place_; }
  bool IsMap() const { return node_->type == YamlNode::Type::kMap; }

  // Adds to the document's problems, and returns it as "origin:LINE: subject: path: what", of bounded length.
  Status Error(std::string_view what) const;
  Status Missing(std::string_view key) const;  // of a field of this map

  // Error: not a map, or a field that is not `known`. `elsewhere` are fields that only another kind has, said so.
  Status AllowOnly(std::initializer_list<std::string_view> known,
                   std::initializer_list<std::string_view> elsewhere = {}) const;
  std::optional<Field> Get(std::string_view key) const;
  // For fields whose absence allows more: error where one of `keys` is there, but null.
  Status RefuseNull(std::initializer_list<std::string_view> keys) const;

  // The field `key`, if there is one, as `parse`, a StatusOr<T>(const Field&), reads it.
  template <typename T, typename Parse>
  Status Read(std::string_view key, T& out, Parse parse) const {
    const auto field = Get(key);
    if (!field) return OkStatus();
    SL_ASSIGN_OR_RETURN(out, parse(*field));
    return OkStatus();
  }
  // Likewise for each item of a list.
  template <typename T, typename Parse>
  Status ReadItems(std::string_view key, std::vector<T>& out, Parse parse) const {
    const auto field = Get(key);
    if (!field) return OkStatus();
    return field->ForEachItem([&](const Field& item) -> Status {
      SL_ASSIGN_OR_RETURN(T value, parse(item));
      out.push_back(std::move(value));
      return OkStatus();
    });
  }

  StatusOr<std::string> String() const;
  StatusOr<bool> Bool() const;
  StatusOr<std::int64_t> Integer(std::int64_t lowest, std::int64_t highest) const;

  Status CheckMap() const;
  Status CheckSequence() const;

  // `visit`: Status(const Field& item), of every item: who writes a file wants to know all that is wrong. The first
  // error is returned.
  template <typename Visit>
  Status ForEachItem(Visit visit) const {
    Status first = CheckSequence();
    for (std::size_t i = 0; i < node_->items.size(); ++i) {
      const YamlNode& item = *node_->items[i];
      first.Update(visit(Field(*document_, item, fmt::format("{}[{}]", path_, i), item.place)));
    }
    return first;
  }

  // Likewise; `visit`: Status(const std::string& key, const Field& value).
  template <typename Visit>
  Status ForEachEntry(Visit visit) const {
    Status first = CheckMap();
    for (const YamlNode::Entry& entry : node_->entries) first.Update(visit(entry.key, Child(entry)));
    return first;
  }

 private:
  Field(const Document& document, const YamlNode& node, std::string path, const Place& place)
      : document_(&document), node_(&node), path_(std::move(path)), place_(place) {}

  Field Child(const YamlNode::Entry& entry) const;
  std::string PathOf(std::string_view key) const;
  std::string Got() const;

  const Document* document_;
  const YamlNode* node_;
  std::string path_;
  Place place_;
};

}  // namespace sluice::policy
