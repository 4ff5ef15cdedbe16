#include "ctrl/kube/json_fields.h"

#include "base/printable.h"

namespace sluice::kube {

std::string JsonFields::Path() const {
  if (parent_ == nullptr) return "";
  std::string path = parent_->Path();
  if (!path.empty()) path += '.';
  path += key_;
  if (index_ >= 0) path += fmt::format("[{}]", index_);
  return path;
}

Status JsonFields::Error(std::string_view key, std::string_view what) const {
  std::string path = Path();
  if (!path.empty() && !key.empty()) path += '.';
  path += key;
  return InvalidError("{}: {}: {}", Printable(subject_), path, Printable(what));
}

std::optional<JsonElement> JsonFields::At(std::string_view key) const {
  auto value = FieldOf(value_, key);
  if (value && value->is_null()) return std::nullopt;
  return value;
}

StatusOr<std::string_view> JsonFields::String(std::string_view key) const {
  const auto value = At(key);
  if (!value) return std::string_view();
  if (!value->is_string()) return Error(key, "not a string");
  return value->get_string().value_unsafe();
}

StatusOr<std::int64_t> JsonFields::Integer(std::string_view key) const {
  const auto value = At(key);
  if (!value) return 0;
  if (!value->is_int64()) return Error(key, "not a whole number");
  return value->get_int64().value_unsafe();
}

StatusOr<std::optional<bool>> JsonFields::Bool(std::string_view key) const {
  const auto value = At(key);
  if (!value) return std::optional<bool>();
  if (!value->is_bool()) return Error(key, "neither true nor false");
  return std::optional<bool>(value->get_bool().value_unsafe());
}

StatusOr<std::optional<JsonFields>> JsonFields::Object(std::string_view key) const {
  const auto value = At(key);
  if (!value) return std::optional<JsonFields>();
  if (!value->is_object()) return Error(key, "not an object");
  return std::optional<JsonFields>(JsonFields(*value, *this, key, -1));
}

Status JsonFields::ForEach(std::string_view key, const std::function<Status(const JsonFields&)>& visit) const {
  const auto value = At(key);
  if (!value) return OkStatus();
  if (!value->is_array()) return Error(key, "not a list");
  const simdjson::dom::array items = value->get_array().value_unsafe();
  std::int64_t index = 0;
  for (const JsonElement item : items) SL_RETURN_IF_ERROR(visit(JsonFields(item, *this, key, index++)));
  return OkStatus();
}

StatusOr<std::map<std::string, std::string>> JsonFields::Texts(std::string_view key) const {
  SL_ASSIGN_OR_RETURN(const auto fields, Object(key));
  std::map<std::string, std::string> texts;
  if (!fields) return texts;
  const simdjson::dom::object entries = fields->value_.get_object().value_unsafe();
  for (const auto& [name, value] : entries) {
    SL_ASSIGN_OR_RETURN(const std::string_view text, fields->String(name));
    texts.emplace(name, text);
  }
  return texts;
}

StatusOr<std::string_view> JsonFields::Text() const {
  if (!value_.is_string()) return Error("", "not a string");
  return value_.get_string().value_unsafe();
}

}  // namespace sluice::kube
