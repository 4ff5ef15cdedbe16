#include "policy/resource/resource_field.h"

#include <algorithm>

#include "base/printable.h"
#include "policy/resource/resource_scalar.h"

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxMessageBytes = 1000;

bool IsSimpleKey(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

bool Contains(std::initializer_list<std::string_view> keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

std::string Cut(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) --bytes;  // whole characters only
  return text.substr(0, bytes) + "...";
}

}  // namespace

std::string Problem::ToString(std::string_view origin) const {
  std::string text(origin);
  if (place.line != 0) text += fmt::format(":{}", place.line);
  text += ": ";
  if (!subject.empty()) text += subject + ": ";
  return text + what;
}

Status Field::Error(std::string_view what) const {
  const Problem& problem = document_->problems.emplace_back(ProblemHere(what));
  return InvalidError("{}", problem.ToString(document_->origin));
}

void Field::Warn(std::string_view what) const { document_->warnings.push_back(ProblemHere(what)); }

Problem Field::ProblemHere(std::string_view what) const {
  const std::string text = path_.empty() ? std::string(what) : fmt::format("{}: {}", path_, what);
  return {.place = place_,
          .subject = Cut(Printable(document_->subject), kMaxMessageBytes),
          .object = Cut(Printable(document_->object), kMaxMessageBytes),
          .what = Cut(Printable(text), kMaxMessageBytes)};
}

Status Field::Missing(std::string_view key) const {
  return Field(*document_, *node_, PathOf(key), place_).Error("missing");
}

Status Field::AllowOnly(std::initializer_list<std::string_view> known,
                        std::initializer_list<std::string_view> elsewhere) const {
  return ForEachEntry([&](const std::string& key, const Field& value) {
    if (Contains(known, key)) return OkStatus();
    if (Contains(elsewhere, key)) {
      return value.Error("unknown field: only the NetworkPolicy of apiVersion sluice.dev/v1alpha1 has it");
    }
    return value.Error("unknown field");
  });
}

std::optional<Field> Field::Get(std::string_view key) const {
  const auto entry = std::find_if(node_->entries.begin(), node_->entries.end(),
                                  [&](const YamlNode::Entry& candidate) { return candidate.key == key; });
  if (entry == node_->entries.end() || entry->value->type == YamlNode::Type::kNull) return std::nullopt;
  return Child(*entry);
}

Status Field::RefuseNull(std::initializer_list<std::string_view> keys) const {
  return ForEachEntry([&](const std::string& key, const Field& value) {
    if (!Contains(keys, key) || value.node().type != YamlNode::Type::kNull) return OkStatus();
    return value.Error("has no value: give it one, or leave the field out");
  });
}

StatusOr<std::string> Field::String() const {
  if (node_->type != YamlNode::Type::kScalar) return Error("must be a string, got " + Got());
  if (TypeOf(*node_) != ScalarType::kString) {
    return Error(fmt::format("must be a string: quote it (\"{}\")", node_->scalar));
  }
  return node_->scalar;
}

StatusOr<bool> Field::Bool() const {
  const std::optional<bool> value =
      node_->type == YamlNode::Type::kScalar && !node_->quoted ? ParseBool(node_->scalar) : std::nullopt;
  if (!value) return Error("must be true or false, got " + Got());
  return *value;
}

StatusOr<std::int64_t> Field::Integer(std::int64_t lowest, std::int64_t highest) const {
  const std::optional<std::int64_t> value =
      node_->type == YamlNode::Type::kScalar && !node_->quoted ? ParsePlainDecimal(node_->scalar) : std::nullopt;
  if (!value || *value < lowest || *value > highest) {
    return Error(fmt::format("must be a decimal number from {} to {}, got {}", lowest, highest, Got()));
  }
  return *value;
}

Status Field::CheckMap() const { return IsMap() ? OkStatus() : Error("must be a map, got " + Got()); }

Status Field::CheckSequence() const {
  return node_->type == YamlNode::Type::kSequence ? OkStatus() : Error("must be a list, got " + Got());
}

Field Field::Child(const YamlNode::Entry& entry) const {
  return Field(*document_, *entry.value, PathOf(entry.key), entry.place);
}

std::string Field::PathOf(std::string_view key) const {
  if (!IsSimpleKey(key)) return fmt::format("{}[{}]", path_, Quoted(key));
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

std::string Field::Got() const {
  switch (node_->type) {
    case YamlNode::Type::kNull:
      return "null";
    case YamlNode::Type::kScalar:
      return node_->quoted || TypeOf(*node_) == ScalarType::kString ? Quoted(Cut(node_->scalar, 80)) : node_->scalar;
    case YamlNode::Type::kSequence:
      return "a list";
    case YamlNode::Type::kMap:
      return "a map";
  }
  return "";
}

}  // namespace sluice::policy
