// Fields of an object of the API server, read with errors that name object and path. Pure.
//   const JsonFields root(object, "Service shop/web");
//   SL_ASSIGN_OR_RETURN(const auto spec, root.Object("spec"));
//   SL_RETURN_IF_ERROR(spec->ForEach("ports", [&](const JsonFields& port) { ... port.Error("port", "...") ... }));
// A field that is null counts as absent. What an Object or an item comes from must outlive it, and so must all texts.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ctrl/kube/api_json.h"

namespace sluice::kube {

class JsonFields {
 public:
  JsonFields(const JsonElement& value, std::string_view subject) : value_(value), subject_(subject) {}

  // "SUBJECT: PATH.key: what". An empty key: about the value itself.
  Status Error(std::string_view key, std::string_view what) const;

  // Of an absent field: empty, 0, nothing. Error: it is of another type.
  StatusOr<std::string_view> String(std::string_view key) const;
  StatusOr<std::int64_t> Integer(std::string_view key) const;
  StatusOr<std::optional<bool>> Bool(std::string_view key) const;
  StatusOr<std::optional<JsonFields>> Object(std::string_view key) const;
  // Calls `visit` for each item of a list. Error: it is no list, or the first error of `visit`.
  Status ForEach(std::string_view key, const std::function<Status(const JsonFields&)>& visit) const;
  StatusOr<std::string_view> Text() const;  // the value itself
  // The texts of an object by their keys, as labels are. Absent: none. Error: it is no object, or a value is no text.
  StatusOr<std::map<std::string, std::string>> Texts(std::string_view key) const;

 private:
  JsonFields(const JsonElement& value, const JsonFields& parent, std::string_view key, std::int64_t index)
      : value_(value), subject_(parent.subject_), parent_(&parent), key_(key), index_(index) {}
  std::string Path() const;
  // Nothing: absent or null.
  std::optional<JsonElement> At(std::string_view key) const;

  JsonElement value_;
  std::string_view subject_;
  const JsonFields* parent_ = nullptr;
  std::string_view key_;     // in the parent
  std::int64_t index_ = -1;  // in the list there; -1: it is no item
};

}  // namespace sluice::kube
