// Prefixes as in tries: IPv4 is v4-mapped.
#pragma once

#include "policy/resource/address.h"

namespace sluice::datapath {

inline policy::Prefix MappedPrefix(const sl_addr& addr, int mapped_length) {
  const policy::Address address(addr);
  return policy::Prefix(address, address.is_v4() ? mapped_length - 96 : mapped_length);
}

}  // namespace sluice::datapath
