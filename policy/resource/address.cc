#include "policy/resource/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice::policy {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Status NotAnAddress(std::string_view text) { return InvalidError("\"{}\" is not an IPv4 or IPv6 address", text); }

void ClearHostBits(std::array<std::uint8_t, 16>& bytes, int length) {
  for (int i = 0; i < 16; ++i) {
    const int keep = std::clamp(length - 8 * i, 0, 8);
    bytes[i] &= static_cast<std::uint8_t>(0xff00 >> keep);
  }
}

}  // namespace

Address::Address(const sl_addr& addr) { std::memcpy(bytes_.data(), addr.bytes, bytes_.size()); }

StatusOr<Address> Address::Parse(std::string_view text) {
  // inet_pton reads a C string: an embedded NUL would hide what follows it.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return NotAnAddress(text);
  const std::string terminated(text);
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, terminated.c_str(), bytes.data() + kMappedPrefix.size()) == 1) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
    return Address(bytes);
  }
  if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) != 1) return NotAnAddress(text);
  const Address address(bytes);
  if (address.is_v4()) {
    return InvalidError("\"{}\" is an IPv4-mapped IPv6 address: write it as {}", text, address.ToString());
  }
  return address;
}

bool Address::is_v4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

sl_addr Address::abi() const {
  sl_addr addr;
  std::memcpy(addr.bytes, bytes_.data(), bytes_.size());
  return addr;
}

std::string Address::ToString() const {
  char text[INET6_ADDRSTRLEN];
  const bool v4 = is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, bytes_.data() + (v4 ? kMappedPrefix.size() : 0), text, sizeof(text));
  return text;
}

Prefix::Prefix(const Address& address, int length) : length_(std::clamp(length, 0, address.is_v4() ? 32 : 128)) {
  std::array<std::uint8_t, 16> bytes = address.bytes();
  ClearHostBits(bytes, address.is_v4() ? length_ + 96 : length_);
  address_ = Address(bytes);
}

bool IsLoopback(const Address& address) {
  if (address.is_v4()) return address.bytes()[12] == 127;
  std::array<std::uint8_t, 16> one{};
  one.back() = 1;
  return address.bytes() == one;
}

StatusOr<Prefix> Prefix::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return InvalidError("\"{}\" is not a CIDR: no \"/length\"", text);
  const StatusOr<Address> address = Address::Parse(text.substr(0, slash));
  if (!address.ok()) return InvalidError("\"{}\" is not a CIDR: {}", text, Message(address.status()));
  const std::string_view digits = text.substr(slash + 1);
  const int longest = address->is_v4() ? 32 : 128;
  int length = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool leading_zero = digits.size() > 1 && digits.front() == '0';
  if (error != std::errc() || end != digits.data() + digits.size() || leading_zero || length < 0 || length > longest) {
    return InvalidError("\"{}\" is not a CIDR: the length must be a number from 0 to {}", text, longest);
  }
  return Prefix(*address, length);
}

Prefix Prefix::Host(const Address& address) { return Prefix(address, address.is_v4() ? 32 : 128); }

bool Prefix::Contains(const Address& address) const {
  return address.is_v4() == is_v4() && Prefix(address, length_).address_ == address_;
}

bool Prefix::Contains(const Prefix& other) const { return other.length_ >= length_ && Contains(other.address_); }

std::string Prefix::ToString() const { return fmt::format("{}/{}", address_.ToString(), length_); }

}  // namespace sluice::policy
