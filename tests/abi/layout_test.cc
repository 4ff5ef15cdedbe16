// Every struct of bpf/abi as the BPF compiler laid it out (BTF of the built object) against C++'s layout: size, and
// name, offset and size of every member. A struct or a member that this file does not list fails too.
#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "bpf/abi/conntrack.h"
#include "bpf/abi/events.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/types.h"

namespace sluice::test {
namespace {

struct Member {
  std::string name;
  std::size_t offset;
  std::size_t size;
  bool operator==(const Member&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Member& m) {
  return out << m.name << " at " << m.offset << ", " << m.size << " bytes";
}

struct Layout {
  std::string name;
  std::size_t size;
  std::vector<Member> members;
};

#define SL_M(type, member) \
  Member { #member, offsetof(type, member), sizeof(type::member) }

std::vector<Layout> CppLayouts() {
  return {
      {"sl_addr", sizeof(sl_addr), {SL_M(sl_addr, bytes)}},
      {"sl_address_key", sizeof(sl_address_key), {SL_M(sl_address_key, addr), SL_M(sl_address_key, slot)}},
      {"sl_address_value",
       sizeof(sl_address_value),
       {SL_M(sl_address_value, identity), SL_M(sl_address_value, workload), SL_M(sl_address_value, ifindex),
        SL_M(sl_address_value, endpoint), SL_M(sl_address_value, egress_ruleset),
        SL_M(sl_address_value, ingress_ruleset)}},
      {"sl_prefix_key",
       sizeof(sl_prefix_key),
       {SL_M(sl_prefix_key, prefixlen), SL_M(sl_prefix_key, slot), SL_M(sl_prefix_key, addr)}},
      {"sl_prefix_value", sizeof(sl_prefix_value), {SL_M(sl_prefix_value, identity)}},
      {"sl_peer_key",
       sizeof(sl_peer_key),
       {SL_M(sl_peer_key, slot), SL_M(sl_peer_key, ruleset), SL_M(sl_peer_key, identity)}},
      {"sl_peer_value", sizeof(sl_peer_value), {SL_M(sl_peer_value, first), SL_M(sl_peer_value, count)}},
      {"sl_port_entry",
       sizeof(sl_port_entry),
       {SL_M(sl_port_entry, start), SL_M(sl_port_entry, decision), SL_M(sl_port_entry, verdict),
        SL_M(sl_port_entry, flags), SL_M(sl_port_entry, pad)}},
      {"sl_flow_key",
       sizeof(sl_flow_key),
       {SL_M(sl_flow_key, lo), SL_M(sl_flow_key, hi), SL_M(sl_flow_key, lo_port), SL_M(sl_flow_key, hi_port),
        SL_M(sl_flow_key, protocol), SL_M(sl_flow_key, pad)}},
      {"sl_flow_end",
       sizeof(sl_flow_end),
       {SL_M(sl_flow_end, identity), SL_M(sl_flow_end, workload), SL_M(sl_flow_end, endpoint),
        SL_M(sl_flow_end, ifindex)}},
      {"sl_flow_entry",
       sizeof(sl_flow_entry),
       {SL_M(sl_flow_entry, created_ns), SL_M(sl_flow_entry, last_seen_ns), SL_M(sl_flow_entry, last_event_ns),
        SL_M(sl_flow_entry, forward_packets), SL_M(sl_flow_entry, forward_bytes), SL_M(sl_flow_entry, reply_packets),
        SL_M(sl_flow_entry, reply_bytes), SL_M(sl_flow_entry, generation), SL_M(sl_flow_entry, initiator),
        SL_M(sl_flow_entry, responder),
        SL_M(sl_flow_entry, initiator_process), SL_M(sl_flow_entry, responder_process), SL_M(sl_flow_entry, egress_decision), SL_M(sl_flow_entry, ingress_decision),
        SL_M(sl_flow_entry, flags), SL_M(sl_flow_entry, socket_changes), SL_M(sl_flow_entry, reason), SL_M(sl_flow_entry, hook),
        SL_M(sl_flow_entry, tcp_flags), SL_M(sl_flow_entry, icmp_type), SL_M(sl_flow_entry, icmp_code),
        SL_M(sl_flow_entry, pad)}},
      {"sl_process",
       sizeof(sl_process),
       {SL_M(sl_process, id), SL_M(sl_process, parent), SL_M(sl_process, start_ns), SL_M(sl_process, birth_ns),
        SL_M(sl_process, binary), SL_M(sl_process, cgroup), SL_M(sl_process, execs), SL_M(sl_process, flags)}},
      {"sl_socket_owner",
       sizeof(sl_socket_owner),
       {SL_M(sl_socket_owner, cookie), SL_M(sl_socket_owner, birth_ns), SL_M(sl_socket_owner, process),
        SL_M(sl_socket_owner, session), SL_M(sl_socket_owner, tgid), SL_M(sl_socket_owner, execs)}},
      {"sl_fragment_key",
       sizeof(sl_fragment_key),
       {SL_M(sl_fragment_key, src), SL_M(sl_fragment_key, dst), SL_M(sl_fragment_key, id),
        SL_M(sl_fragment_key, protocol), SL_M(sl_fragment_key, pad)}},
      {"sl_fragment_value",
       sizeof(sl_fragment_value),
       {SL_M(sl_fragment_value, src_port), SL_M(sl_fragment_value, dst_port), SL_M(sl_fragment_value, tcp_flags),
        SL_M(sl_fragment_value, icmp_type), SL_M(sl_fragment_value, icmp_code), SL_M(sl_fragment_value, pad)}},
      {"sl_counter", sizeof(sl_counter), {SL_M(sl_counter, packets), SL_M(sl_counter, bytes)}},
      {"sl_endpoint_counters",
       sizeof(sl_endpoint_counters),
       {SL_M(sl_endpoint_counters, egress), SL_M(sl_endpoint_counters, ingress)}},
      {"sl_settings", sizeof(sl_settings), {SL_M(sl_settings, flags), SL_M(sl_settings, pad)}},
      {"sl_interface",
       sizeof(sl_interface),
       {SL_M(sl_interface, flags), SL_M(sl_interface, bridge), SL_M(sl_interface, pod_mac), SL_M(sl_interface, pad),
        SL_M(sl_interface, address)}},
      {"sl_flow_event",
       sizeof(sl_flow_event),
       {SL_M(sl_flow_event, time_ns), SL_M(sl_flow_event, key), SL_M(sl_flow_event, entry),
        SL_M(sl_flow_event, ifindex), SL_M(sl_flow_event, type), SL_M(sl_flow_event, reply), SL_M(sl_flow_event, pad)}},
  };
}

class AbiLayout : public ::testing::Test {
 protected:
  void SetUp() override {
    btf_.reset(btf__parse_elf(SLUICE_DATAPATH_OBJECT, nullptr));
    ASSERT_NE(btf_, nullptr) << "no BTF in " << SLUICE_DATAPATH_OBJECT;
  }

  // As the BPF compiler laid it out.
  void ReadBtf(const std::string& name, Layout* layout) const {
    const int id = btf__find_by_name_kind(btf_.get(), name.c_str(), BTF_KIND_STRUCT);
    ASSERT_GT(id, 0) << name << " is not in the object's BTF";
    const btf_type* type = btf__type_by_id(btf_.get(), id);
    layout->name = name;
    layout->size = type->size;
    const btf_member* members = btf_members(type);
    for (int i = 0; i < btf_vlen(type); ++i) {
      ASSERT_EQ(btf_member_bitfield_size(type, i), 0u) << name;
      layout->members.push_back({btf__name_by_offset(btf_.get(), members[i].name_off),
                                 btf_member_bit_offset(type, i) / 8,
                                 static_cast<std::size_t>(btf__resolve_size(btf_.get(), members[i].type))});
    }
  }

  // Names of the structs that the headers define.
  static std::set<std::string> StructsOfHeaders() {
    const char* source = std::getenv("SLUICE_SOURCE_DIR");
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(source ? source : ".") + "/bpf/abi")) {
      std::ifstream header(entry.path());
      const std::regex definition(R"(^\s*struct\s+(\w+)\s*\{.*)");
      std::smatch match;
      for (std::string line; std::getline(header, line);)
        if (std::regex_match(line, match, definition)) names.insert(match[1]);
    }
    return names;
  }

  // Structs that are a key or a value of a map, but for the packet path's own scratch.
  std::set<std::string> StructsOfMaps() const {
    std::set<std::string> names;
    const int section = btf__find_by_name_kind(btf_.get(), ".maps", BTF_KIND_DATASEC);
    if (section <= 0) return names;
    const btf_type* maps = btf__type_by_id(btf_.get(), section);
    for (int i = 0; i < btf_vlen(maps); ++i) {
      const btf_type* variable = btf__type_by_id(btf_.get(), btf_var_secinfos(maps)[i].type);
      if (std::string(btf__name_by_offset(btf_.get(), variable->name_off)) == "judgements") continue;
      const btf_type* map = btf__type_by_id(btf_.get(), variable->type);
      for (int m = 0; m < btf_vlen(map); ++m) {
        const std::string field = btf__name_by_offset(btf_.get(), btf_members(map)[m].name_off);
        if (field != "key" && field != "value") continue;
        const btf_type* pointer = btf__type_by_id(btf_.get(), btf_members(map)[m].type);
        const btf_type* target = btf__type_by_id(btf_.get(), pointer->type);
        if (btf_is_struct(target)) names.insert(btf__name_by_offset(btf_.get(), target->name_off));
      }
    }
    return names;
  }

  struct FreeBtf {
    void operator()(btf* b) const { btf__free(b); }
  };
  std::unique_ptr<btf, FreeBtf> btf_;
};

TEST_F(AbiLayout, OfEveryStructIsTheSameInBpfAndCpp) {
  for (const Layout& cpp : CppLayouts()) {
    SCOPED_TRACE(cpp.name);
    Layout bpf;
    ASSERT_NO_FATAL_FAILURE(ReadBtf(cpp.name, &bpf));
    EXPECT_EQ(bpf.size, cpp.size);
    EXPECT_EQ(bpf.members, cpp.members);
  }
}

TEST_F(AbiLayout, NoMemberIsFollowedByHiddenPadding) {
  for (const Layout& cpp : CppLayouts()) {
    std::size_t end = 0;
    for (const Member& member : cpp.members) {
      EXPECT_EQ(member.offset, end) << cpp.name << "." << member.name;
      end = member.offset + member.size;
    }
    EXPECT_EQ(end, cpp.size) << cpp.name;
  }
}

TEST_F(AbiLayout, NoStructIsLeftOut) {
  std::set<std::string> listed;
  for (const Layout& layout : CppLayouts()) listed.insert(layout.name);
  EXPECT_EQ(StructsOfHeaders(), listed) << "bpf/abi and the list in this file differ";
  const auto of_maps = StructsOfMaps();
  EXPECT_GE(of_maps.size(), 10u);
  EXPECT_THAT(listed, testing::IsSupersetOf(of_maps)) << "a map holds a struct that bpf/abi does not define";
}

}  // namespace
}  // namespace sluice::test
