#!/bin/sh
# Installs programs with apt-get: all that the tests run; with the argument `run` what building and
# running the requirements needs; with `demo` what the demo needs besides. Quick when all is there.
# Without root it says what to install.
set -eu

tools='build-essential python3-dev python3-venv libssl-dev libcrypt-dev iproute2'
guest=''
resolvers=''
case "${1:-all}" in
    run) ;;
    demo) tools="$tools nginx-light iperf3 iputils-ping openssl" ;;
    *)
        tools="$tools nginx-light apache2 haproxy caddy iperf3 tcpdump iputils-ping openssl git"
        tools="$tools dnsmasq-base nftables iptables busybox systemd openvpn tinc strace curl procps"
        tools="$tools tshark prometheus zsh fish chromium mandoc qemu-system-x86 isc-dhcp-client lxc"
        guest=/var/cache/vpnws-tests/guest
        resolvers=/var/cache/vpnws-tests/resolvers
        tools="$tools squid dante-server"
        ;;
esac
command -v apt-get >/dev/null || exit 0

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=''
for tool in $tools; do
    is_installed "$tool" || missing="$missing $tool"
done
# The kernel of a virtual machine: Debian's for clouds, unpacked and not installed.
[ -z "$guest" ] || [ ! -e "$guest/vmlinuz" ] || guest=''
[ "$(dpkg --print-architecture)" = amd64 ] || guest=''
# What has charge of name servers is unpacked too: installed, it would take charge of this machine's.
[ -z "$resolvers" ] || [ ! -e "$resolvers/all" ] || resolvers=''
[ -n "$missing$guest$resolvers" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "install-tools: not root, so go on without:$missing${guest:+ a kernel for virtual machines}" >&2
    echo "install-tools: should something fail for want of them, apt-get install them" >&2
    exit 0
fi

# Debian starts a service when it installs it, and the tests want no web server but their own.
# policy-rc.d with status 101 forbids that; one that is there already stays as it is.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
cleanup() {
    rm -f "$log"
    [ -z "${made_policy:-}" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
nginx_before=$(cat /run/nginx.pid 2>/dev/null || true)
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
quietly() {
    if ! "$@" </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        echo "install-tools: failed: $*" >&2
        exit 1
    fi
}

echo 'install-tools: apt-get update'
quietly apt-get -q update
for tool in $missing; do
    echo "install-tools: $tool"
    quietly apt-get -q -y --no-install-recommends install "$tool"
done

if [ -n "$guest" ]; then
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: *//p' | head -n 1)
    echo "install-tools: $kernel, for a virtual machine"
    unpacked=$(mktemp -d)
    cd "$unpacked"
    quietly apt-get -q -o APT::Sandbox::User=root download "$kernel"
    quietly dpkg-deb -x "$kernel"_*.deb .
    mkdir -p "$guest"
    find . -name '*.ko' \( -path '*/drivers/virtio/*' -o -name virtio_net.ko -o -name '*failover.ko' \) \
        -exec cp {} "$guest" \;
    # Last, because it says that all is there.
    cp boot/vmlinuz-* "$guest/vmlinuz"
    cd /
    rm -rf "$unpacked"
fi

if [ -n "$resolvers" ]; then
    mkdir -p "$resolvers"
    cd "$resolvers"
    for package in openresolv resolvconf systemd-resolved; do
        echo "install-tools: $package, unpacked"
        quietly apt-get -q -o APT::Sandbox::User=root download "$package"
        quietly dpkg-deb -x "$package"_*.deb "$package"
        rm -f "$package"_*.deb
    done
    touch all
    cd /
fi

# A policy of the machine's own may have let nginx start: end that one, and no other.
nginx_now=$(cat /run/nginx.pid 2>/dev/null || true)
if [ -n "$nginx_now" ] && [ "$nginx_now" != "$nginx_before" ]; then
    echo 'install-tools: stop the nginx that its package started'
    nginx -s quit
fi

# The same for the others, and none of them shall come up with the machine.
for service in apache2 haproxy caddy openvpn tinc prometheus squid danted; do
    case " $missing " in *" $service "*) ;; *) continue ;; esac
    service "$service" stop >/dev/null 2>&1 || true
    [ ! -d /run/systemd/system ] || systemctl --quiet disable "$service" >/dev/null 2>&1 || true
done
