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

#include "policy/yaml.h"

namespace sluice::policy {

// What the errors of one document say about it.
struct Document {
  std::string_view origin;
  std::string subject;  // "NetworkPolicy shop/db", or "document 2" while that is not known
};

class Field {
 public:
  Field(const Document& document, const YamlNode& root) : Field(document, root, "", root.line) {}

  const YamlNode& node() const { return *node_; }
  int line() const { return line_; }
  bool IsMap() const { return node_->type == YamlNode::Type::kMap; }

  // "origin:LINE: subject: path: what", printable and of bounded length.
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

  // `visit`: Status(const Field& item).
  template <typename Visit>
  Status ForEachItem(Visit visit) const {
    SL_RETURN_IF_ERROR(CheckSequence());
    for (std::size_t i = 0; i < node_->items.size(); ++i) {
      const YamlNode& item = *node_->items[i];
      SL_RETURN_IF_ERROR(visit(Field(*document_, item, fmt::format("{}[{}]", path_, i), item.line)));
    }
    return OkStatus();
  }

  // `visit`: Status(const std::string& key, const Field& value).
  template <typename Visit>
  Status ForEachEntry(Visit visit) const {
    SL_RETURN_IF_ERROR(CheckMap());
    for (const YamlNode::Entry& entry : node_->entries) SL_RETURN_IF_ERROR(visit(entry.key, Child(entry)));
    return OkStatus();
  }

 private:
  Field(const Document& document, const YamlNode& node, std::string path, int line)
      : document_(&document), node_(&node), path_(std::move(path)), line_(line) {}

  Field Child(const YamlNode::Entry& entry) const;
  std::string PathOf(std::string_view key) const;
  std::string Got() const;

  const Document* document_;
  const YamlNode* node_;
  std::string path_;
  int line_;
};

}  // namespace sluice::policy
