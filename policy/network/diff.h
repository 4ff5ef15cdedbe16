// Two table contents -> the edits that turn one into the other.
#pragma once

#include "policy/network/tables.h"

namespace sluice::policy {

template <typename K, typename V>
struct TableEdits {
  std::vector<std::pair<K, V>> puts;  // new or changed
  std::vector<K> deletes;
};

struct Plan {
  TableEdits<Address, sl_address_value> addresses;
  TableEdits<Prefix, sl_prefix_value> prefixes;
  TableEdits<Tables::PeerKey, sl_peer_value> peers;
  TableEdits<std::uint32_t, sl_port_entry> ports;
  TableEdits<std::uint32_t, sl_program_pattern> patterns;
  TableEdits<std::uint32_t, sl_process_verdict> process_verdicts;
  bool empty() const;
  std::size_t size() const;  // edits in all
};

Plan Diff(const Tables& from, const Tables& to);

}  // namespace sluice::policy
