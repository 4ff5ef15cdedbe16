// A value inside a resource, together with its place, so that every error names file, line, object and path:
//   SL_RETURN_IF_ERROR(spec.AllowOnly({"netns", "ips"}));
//   SL_RETURN_IF_ERROR(spec.Read("netns", workload.netns, [](const Field& f) { return f.String(); }));
// As in the Kubernetes API, a field that is null counts as absent. Does not own its Document and tree: both must
// outlive it.
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
  Place place;          // line 0: the text as a whole
  std::string subject;  // "NetworkPolicy shop/db", or "document 2" while that is not known; empty: the text itself
  std::string object;   // "NetworkPolicy/db"; empty: not known
  std::string what;     // printable: "spec.ingress[0].ports[0].endPort: 79 is below port 80"

  std::string ToString(std::string_view origin) const;  // "origin:LINE: subject: what"
};

// One document, and the problems found in its fields so far.
struct Document {
  std::string_view origin;
  std::string subject = {};  // as in Problem
  std::string object = {};   // as in Problem
  std::string default_namespace = "default";
  bool lenient = false;  // kinds that have a lenient mode say there what it is
  mutable std::vector<Problem> problems = {};
  mutable std::vector<Problem> warnings = {};  // what a lenient mode accepts, and what is right but probably not meant
};

class Field {
 public:
  Field(const Document& document, const YamlNode& root) : Field(document, root, "", root.place) {}

  const YamlNode& node() const { return *node_; }
  const Document& document() const { return *document_; }
  const Place& place() const { return place_; }
  const std::string& path() const { return path_; }  // "spec.ingress[0].ports"; empty: the document
  bool IsMap() const { return node_->type == YamlNode::Type::kMap; }

  // Adds to the document's problems, and returns it as "origin:LINE: subject: path: what", of bounded length.
  Status Error(std::string_view what) const;
  Status Missing(std::string_view key) const;  // an Error: this map needs the field `key`
  // Adds to the document's warnings, and has no other effect.
  void Warn(std::string_view what) const;

  // Error: not a map, or a field that is not `known`. For fields in `elsewhere`, the error says which kind has them.
  Status AllowOnly(std::initializer_list<std::string_view> known,
                   std::initializer_list<std::string_view> elsewhere = {}) const;
  std::optional<Field> Get(std::string_view key) const;
  // For fields that allow more when they are absent: an error when one of `keys` is present but null.
  Status RefuseNull(std::initializer_list<std::string_view> keys) const;

  // Sets `out` from the field `key`, if present. `parse`: StatusOr<T>(const Field&).
  template <typename T, typename Parse>
  Status Read(std::string_view key, T& out, Parse parse) const {
    const auto field = Get(key);
    if (!field) return OkStatus();
    SL_ASSIGN_OR_RETURN(out, parse(*field));
    return OkStatus();
  }
  // The same for each item of a list: appends to `out`.
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

  // Calls `visit`, a Status(const Field& item), for every item, so that all problems of a file are found. Returns the
  // first error.
  template <typename Visit>
  Status ForEachItem(Visit visit) const {
    Status first = CheckSequence();
    for (std::size_t i = 0; i < node_->items.size(); ++i) {
      const YamlNode& item = *node_->items[i];
      first.Update(visit(Field(*document_, item, fmt::format("{}[{}]", path_, i), item.place)));
    }
    return first;
  }

  // The same for a map; `visit`: Status(const std::string& key, const Field& value).
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
  Problem ProblemHere(std::string_view what) const;
  std::string Got() const;

  const Document* document_;
  const YamlNode* node_;
  std::string path_;
  Place place_;
};

}  // namespace sluice::policy
