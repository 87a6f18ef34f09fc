set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_CONFIG_GLOBAL="$PWD/config"
git config --global init.defaultBranch main
git init -q one && cd one && echo 1 >file && git add file && git commit -qm one && echo committed
git init -q --bare ../bare.git && git remote add origin ../bare.git
git push -q origin main && echo pushed
mkdir directory && git mv file directory/file && git commit -qm two && echo moved
git checkout -q -b side HEAD~1 && echo 2 >other && git add other && git commit -qm three
git rebase -q main && echo rebased
git checkout -q main && git merge -q --no-ff -m merge side && echo merged
echo 3 >>other && git stash -q && git stash pop -q && git commit -qam four
git tag -a -m tag v1 && git push -q origin main --tags && echo tagged
git worktree add -q ../two side && git worktree remove ../two && echo worktree
git gc -q --aggressive --prune=now && git fsck --strict 2>/dev/null && echo collected
git clone -q ../bare.git ../three && git clone -q "file://$PWD/../bare.git" ../four
diff -r ../three/directory ../four/directory && echo cloned
git bundle create -q ../bundle main && git clone -q ../bundle ../five
git archive main | tar -t
git fetch -q origin && git log --oneline | wc -l
