/* swanctl.c - see swanctl.h. SPDX-License-Identifier: ISC */
#include "swanctl.h"

struct row {
	const char *name, *text;
};

#define IKEV1 "it is for IKEv1, and Mendip speaks IKEv2 only"
#define MARKS                                                                                     \
	"marks and interface IDs are the kernel's: device = \"NAME\" gives a child a TUN device " \
	"of its own"
#define NO_POLICY "the packets are in user space, and the kernel has no policies for them"
#define MEDIATION "Mendip has no mediation"

/* clang-format off */
static const struct row rows[] = {
	/* connections */
	{"version", "Mendip always speaks IKEv2"},
	{"aggressive", IKEV1},
	{"pull", IKEV1},
	{"dscp", "IKE packets have no DSCP of their own"},
	{"dpd_timeout", IKEV1 "; retransmit_timeout, retransmit_base and retransmit_tries say when a peer is given up"},
	{"send_certreq", "certificates are always asked for where they are needed"},
	{"send_cert", "our certificate is always sent with auth = \"pubkey\""},
	{"ocsp", "there is no OCSP: put CRLs into crl_folder"},
	{"keyingtries", "a child with start_action = \"start\" is tried for ever, with waits of up to a minute"},
	{"reauth_time", "IKE SAs are rekeyed (rekey_time), and never authenticated anew"},
	{"rand_time", "the times of rekeys always vary"},
	{"if_id_in", MARKS},
	{"if_id_out", MARKS},
	{"mediation", MEDIATION},
	{"mediated_by", MEDIATION},
	{"mediation_peer", MEDIATION},
	/* local and remote */
	{"round", "there is one round of authentication"},
	{"cert", "write certs = [ \"FILE\" ]"},
	{"cacert", "write cacerts = [ \"FILE\" ] in remote"},
	{"xauth_id", IKEV1},
	{"groups", "there are no groups: remote.id says which peers fit"},
	{"cert_policy", "policies of certificates are not looked at: cacerts says which CAs count"},
	{"ca_id", "cacerts says which CAs count"},
	/* children */
	{"ah_proposals", "there is ESP only, which authenticates too: write esp_proposals"},
	{"sha256_96", "integrity checks are never shortened to 96 bits: let the peer use the standard"},
	{"rand_bytes", "the volumes of rekeys always vary"},
	{"rand_packets", "the volumes of rekeys always vary"},
	{"updown", "no script is run: mendipctl events prints what happens"},
	{"hostaccess", NO_POLICY},
	{"mode", "there is tunnel mode only"},
	{"policies", NO_POLICY},
	{"policies_fwd_out", NO_POLICY},
	{"ipcomp", "packets are never compressed"},
	{"inactivity", "a child stays up without traffic: end it by mendipctl down"},
	{"reqid", NO_POLICY},
	{"priority", NO_POLICY "; of two selectors the closer one counts"},
	{"interface", NO_POLICY "; device = \"NAME\" gives a child a TUN device of its own"},
	{"mark_in", MARKS},
	{"mark_in_sa", MARKS},
	{"mark_out", MARKS},
	{"set_mark_in", MARKS},
	{"set_mark_out", MARKS},
	{"label", "there are no security labels"},
	{"label_mode", "there are no security labels"},
	{"tfc_padding", "packets are not padded to hide their length"},
	{"hw_offload", "ESP is in user space: daemon.offload and daemon.crypto_backend make it fast"},
	{"copy_df", "DF is always copied from the inner packet"},
	{"copy_ecn", "ECN is always copied (RFC 6040)"},
	{"copy_dscp", "DSCP is always copied from the inner packet to the outer one, and never back"},
	{"per_cpu_sas", "a child has one SA for each direction"},
	{"pcpus", "a child has one SA for each direction"},
	/* pools */
	{"nbns", "NetBIOS name servers are not told to peers"},
	{"dhcp", "DHCP servers are not told to peers"},
	{"netmask", "the netmask is not told to peers"},
	{"server", "servers are not told to peers"},
	{"subnet", "write subnets = [ \"NETWORK\" ]"},
	{"split_include", "write subnets = [ \"NETWORK\" ]"},
	{"split_exclude", "it is an extension of another maker: narrow remote_ts of the peer"},
	/* authorities */
	{"authorities", "put the CAs into ca_folder and their CRLs into crl_folder, or name CAs in cacerts of remote"},
	{"crl_uris", "CRLs are not fetched: put them into crl_folder"},
	{"ocsp_uris", "there is no OCSP: put CRLs into crl_folder"},
	{"cert_uri_base", "certificates are not fetched"},
	/* certificates and keys on a token */
	{"handle", "a key on a token is named by a URI: local.key = \"pkcs11:token=...;object=...\""},
	{"slot", "a key on a token is named by a URI: local.key = \"pkcs11:token=...;object=...\""},
	{"module", "a key on a token is named by a URI: local.key = \"pkcs11:token=...;object=...\""},
	{"pin", "local.password names the file with the PIN of a token"},
};

#define KEY_FILE "local.key of the connection names the file of the key, and local.password the file of its password"

static const struct row secrets[] = {
	{"private", KEY_FILE},
	{"rsa", KEY_FILE},
	{"ecdsa", KEY_FILE},
	{"pkcs8", KEY_FILE},
	{"pkcs12", KEY_FILE},
	{"token", "local.key = \"pkcs11:...\" names a key on a token, and local.password the file of its PIN"},
	{"xauth", IKEV1 ": for a password of EAP write eap..."},
	{"ntlm", "write the password itself, in a group eap..."},
};

/* Those that are most often carried over. */
static const struct row ipsec[] = {
	{"auto", "write start_action in a child: \"start\", or \"trap\" for route"},
	{"left", "write local_addrs"},
	{"right", "write remote_addrs"},
	{"leftid", "write id in the group local"},
	{"rightid", "write id in the group remote"},
	{"leftsubnet", "write local_ts in a child"},
	{"rightsubnet", "write remote_ts in a child"},
	{"authby", "write auth in the groups local and remote"},
	{"keyexchange", "remove it, as Mendip always speaks IKEv2"},
	{"ikelifetime", "write rekey_time in the connection"},
	{"lifetime", "write rekey_time in a child"},
	{"keylife", "write rekey_time in a child"},
	{"ike", "write proposals in the connection"},
	{"esp", "write esp_proposals in a child"},
	{"dpddelay", "write dpd_delay"},
	{"dpdaction", "write dpd_action in a child"},
};
/* clang-format on */

/* prefix: more may follow the name of the row. */
static const char *find_text(const struct row *v, size_t count, const char *name, bool prefix)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(v[i].name);

		if (strncmp(v[i].name, name, len) == 0 && (prefix || name[len] == '\0'))
			return v[i].text;
	}
	return NULL;
}

const char *swanctl_without(const char *option)
{
	return find_text(rows, ARRAY_SIZE(rows), option, false);
}

const char *swanctl_secret_without(const char *section)
{
	return find_text(secrets, ARRAY_SIZE(secrets), section, true);
}

const char *ipsec_instead(const char *option)
{
	return find_text(ipsec, ARRAY_SIZE(ipsec), option, false);
}
