// Protobuf's wire format read by hand, for tests in which a wrong number in a .proto file must not go unnoticed.
//   const WireReader record(bytes);
//   EXPECT_EQ(record.Text(12), "sluice.flow");
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

class WireReader {
 public:
  enum Type { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  explicit WireReader(const std::string& bytes) {
    std::size_t at = 0;
    while (at < bytes.size() && is_valid_) {
      const std::uint64_t tag = Varint(bytes, &at);
      Field field{.number = static_cast<std::uint32_t>(tag >> 3U), .type = static_cast<Type>(tag & 7U)};
      if (field.type == kVarint) {
        field.value = Varint(bytes, &at);
      } else if (field.type == kFixed64 || field.type == kFixed32) {
        field.value = Fixed(bytes, field.type == kFixed64 ? 8 : 4, &at);
      } else if (field.type == kBytes) {
        const std::uint64_t size = Varint(bytes, &at);
        is_valid_ = is_valid_ && size <= bytes.size() - at;
        if (is_valid_) field.bytes = bytes.substr(at, size);
        at += size;
      } else {
        is_valid_ = false;
      }
      fields_.push_back(std::move(field));
    }
    EXPECT_TRUE(is_valid_) << "not a message";
  }

  // Of the first such field; a field of another type fails the test.
  std::string Text(std::uint32_t number) const {
    const Field* const field = Find(number, kBytes);
    return field == nullptr ? "" : field->bytes;
  }
  std::optional<std::uint64_t> Number(std::uint32_t number, Type type = kVarint) const {
    const Field* const field = Find(number, type);
    return field == nullptr ? std::nullopt : std::optional(field->value);
  }
  std::optional<double> Double(std::uint32_t number) const {
    const auto bits = Number(number, kFixed64);
    return bits ? std::optional(std::bit_cast<double>(*bits)) : std::nullopt;
  }
  // All messages with this number.
  std::vector<WireReader> All(std::uint32_t number) const {
    std::vector<WireReader> all;
    for (const Field& field : fields_) {
      if (field.number != number) continue;
      EXPECT_EQ(field.type, kBytes) << "field " << number;
      all.emplace_back(field.bytes);
    }
    return all;
  }
  // Of a packed field of eight bytes each.
  std::vector<std::uint64_t> Packed64(std::uint32_t number) const {
    std::vector<std::uint64_t> values;
    const std::string bytes = Text(number);
    EXPECT_EQ(bytes.size() % 8, 0U);
    for (std::size_t at = 0; at + 8 <= bytes.size();) values.push_back(Fixed(bytes, 8, &at));
    return values;
  }
  bool Has(std::uint32_t number) const {
    for (const Field& field : fields_)
      if (field.number == number) return true;
    return false;
  }

 private:
  struct Field {
    std::uint32_t number = 0;
    Type type = kVarint;
    std::uint64_t value = 0;
    std::string bytes;
  };
  const Field* Find(std::uint32_t number, Type type) const {
    for (const Field& field : fields_) {
      if (field.number != number) continue;
      EXPECT_EQ(field.type, type) << "field " << number;
      return &field;
    }
    return nullptr;
  }
  std::uint64_t Varint(const std::string& bytes, std::size_t* at) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (*at >= bytes.size()) break;
      const auto byte = static_cast<unsigned char>(bytes[(*at)++]);
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    is_valid_ = false;
    return 0;
  }
  static std::uint64_t Fixed(const std::string& bytes, std::size_t size, std::size_t* at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size && *at + i < bytes.size(); ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[*at + i])) << (8 * i);
    *at += size;
    return value;
  }

  bool is_valid_ = true;
  std::vector<Field> fields_;
};

}  // namespace sluice::test
