// IP addresses and prefixes, IPv4 stored v4-mapped (as in the BPF maps).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "bpf/abi/types.h"

namespace sluice::policy {

class Address {
 public:
  Address() = default;
  explicit Address(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  explicit Address(const sl_addr& addr);

  // Text form as inet_pton(3) takes it; an IPv4-mapped IPv6 text is refused. Error: InvalidArgument with the text.
  static StatusOr<Address> Parse(std::string_view text);

  bool is_v4() const;
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }  // network byte order
  sl_addr abi() const;
  std::string ToString() const;  // RFC 5952 form; IPv4 as dotted quad

  auto operator<=>(const Address&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

bool IsLoopback(const Address& address);  // 127.0.0.0/8 and ::1

// A CIDR block. Host bits are cleared. Lengths are those of the family as written: 0..32 or 0..128.
class Prefix {
 public:
  Prefix() = default;
  Prefix(const Address& address, int length);  // length in the address's own family

  // "10.0.0.0/8". Host bits may be set, as Kubernetes allows, and are cleared.
  static StatusOr<Prefix> Parse(std::string_view text);
  // The prefix that holds just this address: /32 or /128.
  static Prefix Host(const Address& address);

  bool is_v4() const { return address_.is_v4(); }
  const Address& address() const { return address_; }
  int length() const { return length_; }                                  // 0..32 or 0..128
  int mapped_length() const { return is_v4() ? length_ + 96 : length_; }  // of the 128-bit form
  bool Contains(const Address& address) const;                            // false across families
  bool Contains(const Prefix& other) const;                               // itself included
  std::string ToString() const;

  auto operator<=>(const Prefix&) const = default;

 private:
  Address address_;
  int length_ = 0;
};

}  // namespace sluice::policy
