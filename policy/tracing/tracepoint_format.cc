#include "policy/tracing/tracepoint_format.h"

#include <charconv>
#include <optional>

namespace sluice::policy::tracing {
namespace {

bool IsSizeOfNumber(std::uint32_t size) { return size == 1 || size == 2 || size == 4 || size == 8; }

constexpr std::string_view kField = "field:";

// The text between `key` and the next ";"; absent: there is none.
std::optional<std::string_view> PartOf(std::string_view line, std::string_view key) {
  const std::size_t begin = line.find(key);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view rest = line.substr(begin + key.size());
  const std::size_t end = rest.find(';');
  return end == std::string_view::npos ? std::nullopt : std::optional(rest.substr(0, end));
}

std::optional<std::uint32_t> NumberIn(std::string_view line, std::string_view key) {
  const auto text = PartOf(line, key);
  std::uint32_t number = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  return error == std::errc() && end == text->data() + text->size() ? std::optional(number) : std::nullopt;
}

// "const char * name", "char comm[16]", "__data_loc char[] filename".
void ReadDeclaration(std::string_view declaration, TracepointField& field) {
  const bool is_array = declaration.ends_with(']');
  std::string_view until_name = is_array ? declaration.substr(0, declaration.rfind('[')) : declaration;
  const std::size_t before = until_name.find_last_of(" *");
  field.name = until_name.substr(before == std::string_view::npos ? 0 : before + 1);
  const std::string_view type = until_name.substr(0, before == std::string_view::npos ? 0 : before + 1);
  field.of_chars = type.starts_with("char") || type.starts_with("unsigned char") || type.starts_with("u8") ||
                   type.starts_with("__u8");
  if (type.starts_with("__data_loc")) {
    field.kind = TracepointField::Kind::kDataLocation;
  } else if (type.starts_with("__rel_loc")) {
    field.kind = TracepointField::Kind::kRelativeLocation;
  } else if (!is_array && type.find('*') != std::string_view::npos) {
    field.kind = TracepointField::Kind::kPointer;
  } else if (is_array || !IsSizeOfNumber(field.size)) {
    field.kind = TracepointField::Kind::kArray;  // or a structure
  }
}

}  // namespace

StatusOr<std::vector<TracepointField>> ParseTracepointFormat(std::string_view text) {
  std::vector<TracepointField> fields;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.starts_with("print fmt:")) break;
    if (line.find(kField) == std::string_view::npos) continue;
    const auto declaration = PartOf(line, kField);
    const auto offset = NumberIn(line, "offset:"), size = NumberIn(line, "size:"), sign = NumberIn(line, "signed:");
    if (!declaration || !offset || !size || !sign)
      return InvalidError("the format of a tracepoint has no field in the line \"{}\"", line);
    TracepointField field{.name = "", .offset = *offset, .size = *size, .is_signed = *sign != 0};
    ReadDeclaration(*declaration, field);
    fields.push_back(std::move(field));
  }
  if (fields.empty()) return InvalidError("the format of a tracepoint has no fields");
  return fields;
}

}  // namespace sluice::policy::tracing
