#include "policy/rules/fields.h"

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "base/printable.h"
#include "policy/rules/field_groups.h"

namespace sluice::policy::rules {
namespace {

constexpr std::string_view kEventArgument = "evt.arg";

const std::vector<FieldInfo>& SortedFields() {
  static const std::vector<FieldInfo> fields = [] {
    std::vector<FieldInfo> all;
    for (const auto& group : {EventFields(), ProcessFields(), DescriptorFields(), ContainerFields()}) {
      all.insert(all.end(), group.begin(), group.end());
    }
    std::sort(all.begin(), all.end(), [](const FieldInfo& a, const FieldInfo& b) { return a.name < b.name; });
    return all;
  }();
  return fields;
}

const FieldInfo* Find(std::string_view name) {
  const auto& fields = SortedFields();
  const auto at = std::lower_bound(fields.begin(), fields.end(), name,
                                   [](const FieldInfo& field, std::string_view key) { return field.name < key; });
  return at != fields.end() && at->name == name ? &*at : nullptr;
}

std::optional<std::int32_t> IndexIn(std::string_view text) {
  std::int32_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size() || index < 0) return std::nullopt;
  return index;
}

Status NoField(std::string_view name) {
  std::vector<std::string> names;
  for (const FieldInfo& field : SortedFields()) names.emplace_back(field.name);
  const std::string near = Nearest(names, name);
  return InvalidError("there is no field {}{}", PrintableWord(name),
                      near.empty() ? "" : fmt::format(": did you mean {}?", near));
}

// Sets the argument of `use`, whose field and text are set.
Status SetArgument(FieldUse& use, const std::optional<std::string>& argument) {
  const auto index = argument ? IndexIn(*argument) : std::nullopt;
  switch (use.info->argument) {
    case ArgumentForm::kNone:
      return argument ? InvalidError("field {} has no argument", use.info->name) : OkStatus();
    case ArgumentForm::kAncestor:
    case ArgumentForm::kPosition:
      if (argument && !index) {
        return InvalidError("field {}: the argument is a number from 0, not {}", use.info->name,
                            PrintableWord(*argument));
      }
      use.index = index;
      return OkStatus();
    case ArgumentForm::kName:
      if (argument && argument->empty()) return InvalidError("field {}: the argument is empty", use.info->name);
      use.key = argument.value_or("");
      return OkStatus();
    case ArgumentForm::kMount:
    case ArgumentForm::kEventArgument:
      if (!argument || argument->empty()) {
        return InvalidError("field {} needs an argument: {}", use.info->name,
                            use.info->argument == ArgumentForm::kMount ? "[N] or [PATTERN]" : ".NAME or [N]");
      }
      use.index = index;
      if (index) return OkStatus();
      if (use.info->argument == ArgumentForm::kEventArgument) {
        return InvalidError("field {}: the argument in brackets is a number from 0, not {}", use.info->name,
                            PrintableWord(*argument));
      }
      use.key = *argument;
      return OkStatus();
  }
  return OkStatus();
}

// evt.arg.NAME is one field of a name that has any of the known names.
StatusOr<FieldUse> FindEventArgument(std::string_view name, const std::optional<std::string>& argument) {
  const std::string_view key = name.substr(kEventArgument.size() + 1);
  if (!IsEventArgument(key)) return InvalidError("there is no field {}: no event has such an argument", name);
  if (argument) return InvalidError("field {} has no argument", name);
  return FieldUse{.info = Find(kEventArgument), .index = {}, .key = std::string(key), .text = std::string(name)};
}

}  // namespace

std::span<const FieldInfo> Fields() { return SortedFields(); }

StatusOr<FieldUse> FindField(std::string_view name, const std::optional<std::string>& argument) {
  if (name.starts_with("evt.arg.")) return FindEventArgument(name, argument);
  const FieldInfo* const info = Find(name);
  if (info == nullptr) return NoField(name);
  FieldUse use{.info = info, .index = {}, .key = {}, .text = std::string(name)};
  if (argument) use.text += "[" + *argument + "]";
  SL_RETURN_IF_ERROR(SetArgument(use, argument));
  return use;
}

bool IsField(std::string_view name) {
  return Find(name) != nullptr ||
         (name.starts_with("evt.arg.") && IsEventArgument(name.substr(kEventArgument.size() + 1)));
}

void Extract(const FieldUse& use, const Event& event, Values& out) {
  out.Clear();
  use.info->extract(use, event, out);
}

Many ManyOf(const FieldUse& use) { return use.info->many == Many::kAny && use.index ? Many::kOne : use.info->many; }

}  // namespace sluice::policy::rules
